#include "nr-error-model.h"
namespace ns3::cosim { NS_OBJECT_ENSURE_REGISTERED(NrErrorModel); }
