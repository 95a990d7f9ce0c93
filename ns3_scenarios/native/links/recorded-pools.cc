// SPDX-License-Identifier: GPL-2.0-only
#include "recorded-pools.h"

#include "recorded-net-device.h"

#include <algorithm>

namespace ns3::cosim
{

NS_OBJECT_ENSURE_REGISTERED(RecordedPools);

TypeId
RecordedPools::GetTypeId()
{
    static TypeId tid =
        TypeId("ns3::cosim::RecordedPools").SetParent<Object>().SetGroupName("Cosim").AddConstructor<RecordedPools>();
    return tid;
}

void
RecordedPools::Enter(int64_t pool, RecordedNetDevice* end)
{
    auto& waiting = m_waiting[pool];
    waiting.push_back(end);
    std::for_each(waiting.begin(), waiting.end() - 1, [](auto* before) { before->HandleSharers(); });
}

void
RecordedPools::Leave(int64_t pool, RecordedNetDevice* end)
{
    auto& waiting = m_waiting[pool];
    std::erase(waiting, end);
    std::for_each(waiting.begin(), waiting.end(), [](auto* left) { left->HandleSharers(); });
}

int64_t
RecordedPools::GetCount(int64_t pool) const
{
    auto waiting = m_waiting.find(pool);
    return waiting == m_waiting.end() ? 0 : static_cast<int64_t>(waiting->second.size());
}

void
RecordedPools::DoDispose()
{
    m_waiting.clear();
    Object::DoDispose();
}

} // namespace ns3::cosim
