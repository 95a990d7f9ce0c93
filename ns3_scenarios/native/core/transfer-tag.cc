// SPDX-License-Identifier: GPL-2.0-only
#include "transfer-tag.h"

namespace ns3::cosim
{

NS_OBJECT_ENSURE_REGISTERED(TransferTag);

TypeId
TransferTag::GetTypeId()
{
    static TypeId tid =
        TypeId("ns3::cosim::TransferTag").SetParent<Tag>().SetGroupName("Cosim").AddConstructor<TransferTag>();
    return tid;
}

TypeId
TransferTag::GetInstanceTypeId() const
{
    return GetTypeId();
}

uint32_t
TransferTag::GetSerializedSize() const
{
    return sizeof(device) + sizeof(exchange) + sizeof(end);
}

void
TransferTag::Serialize(TagBuffer buffer) const
{
    buffer.WriteU32(device);
    buffer.WriteU32(exchange);
    buffer.WriteU64(end);
}

void
TransferTag::Deserialize(TagBuffer buffer)
{
    device = buffer.ReadU32();
    exchange = buffer.ReadU32();
    end = buffer.ReadU64();
}

void
TransferTag::Print(std::ostream& stream) const
{
    stream << "device=" << device << " exchange=" << exchange << " end=" << end;
}

} // namespace ns3::cosim
