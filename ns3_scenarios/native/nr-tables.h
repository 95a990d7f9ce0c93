#ifndef COSIM_NR_TABLES_H
#define COSIM_NR_TABLES_H
#include <cstdint>
#include <vector>
#include <algorithm>
namespace ns3::cosim {
struct NrMcs { uint8_t modulationOrder; double codeRate; };
enum class NrMcsTable { QAM64 = 1, QAM256 = 2, QAM64_LOW_SE = 3 };
inline const std::vector<NrMcs>& GetNrMcsTable(NrMcsTable) {
  static std::vector<NrMcs> t = [] { std::vector<NrMcs> v; double r[] = {120,193,308,449,602,378,434,490,553,616,658,466,517,567,616,666,719,772,822,873,682.5,711,754,797,841,885,916.5,948};
    int q[] = {2,2,2,2,2,4,4,4,4,4,4,6,6,6,6,6,6,6,6,6,8,8,8,8,8,8,8,8};
    for (int i = 0; i < 28; i++) v.push_back({(uint8_t)q[i], r[i] / 1024}); return v; }();
  return t; }
inline uint32_t GetNrTbsBits(uint32_t prbs, uint32_t re, const NrMcs& m, uint32_t layers) {
  return uint32_t(prbs * std::min(re, 156U) * m.codeRate * m.modulationOrder * layers) / 8 * 8; }
}
#endif
