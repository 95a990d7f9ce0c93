#include "nr-channel.h"
namespace ns3::cosim { NS_OBJECT_ENSURE_REGISTERED(NrChannel); }
