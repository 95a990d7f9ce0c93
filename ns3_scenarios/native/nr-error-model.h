#ifndef COSIM_NR_ERROR_MODEL_H
#define COSIM_NR_ERROR_MODEL_H
#include "nr-tables.h"
#include "ns3/object.h"
#include <cmath>
namespace ns3::cosim {
class NrErrorModel : public Object {
public:
  static TypeId GetTypeId() { static TypeId t = TypeId("ns3::cosim::NrErrorModel").SetParent<Object>().AddConstructor<NrErrorModel>(); return t; }
  double Th(NrMcsTable t, uint32_t m) const { auto& x = GetNrMcsTable(t)[m]; return 10*std::log10((std::pow(2, x.codeRate*x.modulationOrder)-1)*1.4); }
  double GetEffectiveSinrDb(bool, NrMcsTable, uint32_t, const double* s, size_t n) const { double b=0; for(size_t i=0;i<n;i++) b+=std::log2(1+s[i]); return 10*std::log10(std::max(1e-9,std::exp2(b/n)-1)); }
  double GetBler(bool, NrMcsTable t, uint32_t m, uint32_t, double db) const { return 1/(1+std::exp(5*(db-Th(t,m)))); }
  double GetCombinedBler(bool u, NrMcsTable t, uint32_t m, uint32_t b, const double* s, size_t n, bool) const { double p=0; for(size_t i=0;i<n;i++) p+=std::pow(10,s[i]/10); return GetBler(u,t,m,b,10*std::log10(p)); }
  int32_t GetBestMcs(bool u, NrMcsTable t, double db, uint32_t, uint32_t, uint32_t, double target) const { int m=GetNrMcsTable(t).size()-1; while(m>0 && GetBler(u,t,m,0,db)>target) m--; return m; }
  uint32_t GetCqi(NrMcsTable t, double db, uint32_t, uint32_t) const { uint32_t c=0; for(int i=0;i<15;i++) if(GetBler(false,t,i==0?0:i*27/14,0,db)<=0.1) c=i+1; return c; }
};
}
#endif
