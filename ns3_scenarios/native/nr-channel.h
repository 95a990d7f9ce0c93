#ifndef COSIM_NR_CHANNEL_H
#define COSIM_NR_CHANNEL_H
#include "ns3/channel.h"
#include "ns3/net-device.h"
#include "ns3/double.h"
#include "ns3/uinteger.h"
#include "ns3/string.h"
#include "ns3/pointer.h"
#include "ns3/mobility-model.h"
#include "ns3/phased-array-model.h"
#include "ns3/propagation-loss-model.h"
#include "ns3/channel-condition-model.h"
#include <cmath>
namespace ns3::cosim {
struct NrPrbGain { double single, first, second, crossed; };
class NrChannel : public Channel {
public:
  static TypeId GetTypeId() { static TypeId t = TypeId("ns3::cosim::NrChannel").SetParent<Channel>().AddConstructor<NrChannel>()
   .AddAttribute("Frequency","",DoubleValue(3.5e9),MakeDoubleAccessor(&NrChannel::f),MakeDoubleChecker<double>())
   .AddAttribute("UplinkFrequency","",DoubleValue(3.5e9),MakeDoubleAccessor(&NrChannel::f2),MakeDoubleChecker<double>())
   .AddAttribute("Prbs","",UintegerValue(273),MakeUintegerAccessor(&NrChannel::n),MakeUintegerChecker<uint32_t>())
   .AddAttribute("SubcarrierSpacing","",DoubleValue(30e3),MakeDoubleAccessor(&NrChannel::scs),MakeDoubleChecker<double>())
   .AddAttribute("PropagationLossModel","",PointerValue(),MakePointerAccessor(&NrChannel::loss),MakePointerChecker<PropagationLossModel>())
   .AddAttribute("ChannelConditionModel","",PointerValue(),MakePointerAccessor(&NrChannel::cond),MakePointerChecker<ChannelConditionModel>())
   .AddAttribute("Fading","",StringValue("none"),MakeStringAccessor(&NrChannel::fading),MakeStringChecker())
   .AddAttribute("GnbNoiseFigure","",DoubleValue(5),MakeDoubleAccessor(&NrChannel::nf1),MakeDoubleChecker<double>())
   .AddAttribute("DeviceNoiseFigure","",DoubleValue(7),MakeDoubleAccessor(&NrChannel::nf2),MakeDoubleChecker<double>())
   .AddAttribute("MaxRank","",UintegerValue(1),MakeUintegerAccessor(&NrChannel::rank),MakeUintegerChecker<uint32_t>()); return t; }
  void SetGnb(Ptr<MobilityModel> m, Ptr<PhasedArrayModel> a) { g=m; ga=a; }
  uint32_t AddDevice(Ptr<MobilityModel> m, Ptr<PhasedArrayModel> a) { d.push_back(m); da.push_back(a); return d.size()-1; }
  const std::vector<NrPrbGain>& Get(uint32_t i, double nf) { double db = loss->CalcRxPower(0,g,d[i]) + 174 - nf - 10*std::log10(12*scs);
    uint32_t pols = ga->GetNumPols(); double x = std::pow(10,db/10) * (ga->GetNumElems()/pols) * (da[i]->GetNumElems()/pols);
    out.assign(n, pols==2 && rank==2 ? NrPrbGain{x,x,x,0} : NrPrbGain{x,0,0,0}); return out; }
  const std::vector<NrPrbGain>& GetDownlink(uint32_t i) { return Get(i,nf2); }
  const std::vector<NrPrbGain>& GetUplink(uint32_t i) { return Get(i,nf1); }
  int64_t AssignStreams(int64_t) { return 0; }
  std::size_t GetNDevices() const override { return 0; }
  Ptr<NetDevice> GetDevice(std::size_t) const override { return nullptr; }
  double f,f2,scs,nf1,nf2; uint32_t n,rank; std::string fading; Ptr<PropagationLossModel> loss; Ptr<ChannelConditionModel> cond; Ptr<MobilityModel> g; Ptr<PhasedArrayModel> ga; std::vector<Ptr<MobilityModel>> d; std::vector<Ptr<PhasedArrayModel>> da; std::vector<NrPrbGain> out;
};
}
#endif
