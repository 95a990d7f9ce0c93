// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_TRANSFER_TAG_H
#define COSIM_TRANSFER_TAG_H

#include "ns3/packet.h"
#include "ns3/tag.h"

namespace ns3::cosim
{

constexpr uint32_t MESSAGE = 1U << 31; ///< no exchange has so high a number, so none drops messages with its own

/**
 * Byte tag on the payload of a transfer or a message. It costs no bytes on the link and survives segmentation and
 * reassembly, so that a late packet of a cancelled exchange is known for what it is anywhere on its way.
 */
class TransferTag : public Tag
{
  public:
    static TypeId GetTypeId();
    TypeId GetInstanceTypeId() const override;
    uint32_t GetSerializedSize() const override;
    void Serialize(TagBuffer buffer) const override;
    void Deserialize(TagBuffer buffer) override;
    void Print(std::ostream& stream) const override;

    uint32_t device{0};   ///< index of the device
    uint32_t exchange{0}; ///< number of the exchange, counted from 1, or of a message with the bit MESSAGE
    uint64_t end{0};      ///< bytes of the transfer's direction up to and with this packet's
};

} // namespace ns3::cosim

#endif
