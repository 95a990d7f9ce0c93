// SPDX-License-Identifier: GPL-2.0-only
#include "link-trace.h"

#include <algorithm>

namespace ns3::cosim
{

NS_OBJECT_ENSURE_REGISTERED(LinkTrace);

namespace
{

/// How many whole `b` there are in `a`, towards minus infinity; `b` is positive.
template <class T>
T
FloorDivide(T a, T b)
{
    return a / b - (a % b < 0 ? 1 : 0);
}

} // namespace

TypeId
LinkTrace::GetTypeId()
{
    static TypeId tid =
        TypeId("ns3::cosim::LinkTrace").SetParent<Object>().SetGroupName("Cosim").AddConstructor<LinkTrace>();
    return tid;
}

void
LinkTrace::SetRows(uint32_t count,
                   const int64_t* beginNs,
                   const int64_t* burstBits,
                   const int64_t* rateBps,
                   const int64_t* delayNs,
                   const double* loss,
                   const int64_t* pool,
                   const int64_t* others,
                   int64_t periodNs)
{
    m_rows.clear();
    m_isSharingFixed = true;
    Work work = 0;
    for (uint32_t i = 0; i < count; i++)
    {
        work += Work{burstBits[i]} * WORK_PER_BIT;
        m_rows.push_back({beginNs[i], work, rateBps[i], delayNs[i], loss[i], {pool[i], others[i]}});
        m_isSharingFixed &= m_rows.back().sharing == m_rows.front().sharing;
        work += Work{rateBps[i]} * ((i + 1 < count ? beginNs[i + 1] : periodNs) - beginNs[i]);
    }
    m_cycle = work;
    m_rows.push_back({periodNs, m_cycle + m_rows.front().work, 0, 0, 0.0, m_rows.front().sharing});
    NS_ABORT_MSG_UNLESS(m_rows.front().beginNs == 0 && m_cycle > 0, "a LinkTrace begins at 0 and carries something");
}

const LinkTrace::Row&
LinkTrace::GetRow(int64_t ns) const
{
    auto period = m_rows.back().beginNs;
    auto inCycle = ns - FloorDivide(ns, period) * period;
    auto later = [](int64_t at, const Row& row) { return at < row.beginNs; };
    return *std::prev(std::upper_bound(m_rows.begin(), m_rows.end(), inCycle, later));
}

LinkTrace::Work
LinkTrace::GetWork(int64_t ns) const
{
    auto period = m_rows.back().beginNs;
    auto cycles = FloorDivide(ns, period);
    const auto& row = GetRow(ns);
    return cycles * m_cycle + row.work + Work{row.rateBps} * (ns - cycles * period - row.beginNs);
}

int64_t
LinkTrace::GetInstant(Work work) const
{
    // The cycle at whose beginning there has been less than that, and at whose end there has not.
    auto cycles = FloorDivide(work - m_rows.front().work - 1, m_cycle);
    auto inCycle = work - cycles * m_cycle;
    auto less = [](const Row& row, Work sought) { return row.work < sought; };
    auto next = std::lower_bound(m_rows.begin(), m_rows.end(), inCycle, less);
    auto row = std::prev(next);
    Work at = next->beginNs;
    if (row->rateBps > 0)
    {
        at = std::min(at, row->beginNs + (inCycle - row->work + row->rateBps - 1) / row->rateBps);
    }
    return static_cast<int64_t>(std::min<Work>(cycles * m_rows.back().beginNs + at, LATEST_NS));
}

int64_t
LinkTrace::GetDelayNs(int64_t ns) const
{
    return GetRow(ns).delayNs;
}

double
LinkTrace::GetLoss(int64_t ns) const
{
    return GetRow(ns).loss;
}

const LinkTrace::Sharing&
LinkTrace::GetSharing(int64_t ns) const
{
    return GetRow(ns).sharing;
}

int64_t
LinkTrace::GetNextSharing(int64_t ns) const
{
    if (m_isSharingFixed)
    {
        return LATEST_NS;
    }
    auto cycle = FloorDivide(ns, m_rows.back().beginNs) * m_rows.back().beginNs;
    const auto* row = &GetRow(ns);
    const auto& sharing = row->sharing;
    do
    {
        ++row;
    } while (row != &m_rows.back() && row->sharing == sharing);
    return cycle + row->beginNs;
}

} // namespace ns3::cosim
