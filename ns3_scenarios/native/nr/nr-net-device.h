// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_NR_NET_DEVICE_H
#define COSIM_NR_NET_DEVICE_H

#include "ns3/ipv4-address.h"
#include "ns3/net-device.h"
#include "ns3/traced-callback.h"

#include <cstdint>
#include <map>
#include <vector>

namespace ns3::cosim
{

class NrCell;
class NrCells;

/**
 * An end of NR data bearers: a device's, or the gNB's, which has one for each device and finds it by the IPv4 address
 * that a packet goes to. Several cells have one end for all gNBs, behind them. It carries IPv4, and there is no
 * link-layer address to ask for.
 */
class NrNetDevice : public NetDevice
{
  public:
    static TypeId GetTypeId();

    /// Make this the gNB's end of a cell.
    void ConnectGnb(Ptr<NrCell> cell);

    /// Make this the end behind the gNBs of several cells.
    void ConnectGnbs(Ptr<NrCells> cells);

    /// Make `end` that of the next device of the cell, or cells; this is the gNB's.
    void AddDevice(Ptr<NrNetDevice> end);

    /// The cell that it is an end of; of several, the one that serves the device. Null for the end behind several gNBs.
    Ptr<NrCell> GetCell() const;

    /// The number in its cell of the device that this is the end of; negative for the gNB's.
    int64_t GetDevice() const;

    /// A packet has come over the air.
    void Receive(Ptr<Packet> packet);

    void SetIfIndex(const uint32_t index) override;
    uint32_t GetIfIndex() const override;
    Ptr<Channel> GetChannel() const override;
    void SetAddress(Address address) override;
    Address GetAddress() const override;
    bool SetMtu(const uint16_t mtu) override;
    uint16_t GetMtu() const override;
    bool IsLinkUp() const override;
    void AddLinkChangeCallback(Callback<void> callback) override;
    bool IsBroadcast() const override;
    Address GetBroadcast() const override;
    bool IsMulticast() const override;
    Address GetMulticast(Ipv4Address multicastGroup) const override;
    Address GetMulticast(Ipv6Address address) const override;
    bool IsBridge() const override;
    bool IsPointToPoint() const override;
    bool Send(Ptr<Packet> packet, const Address& target, uint16_t protocol) override;
    bool SendFrom(Ptr<Packet> packet, const Address& source, const Address& target, uint16_t protocol) override;
    Ptr<Node> GetNode() const override;
    void SetNode(Ptr<Node> node) override;
    bool NeedsArp() const override;
    void SetReceiveCallback(ReceiveCallback callback) override;
    void SetPromiscReceiveCallback(PromiscReceiveCallback callback) override;
    bool SupportsSendFrom() const override;

  protected:
    void DoDispose() override;

  private:
    void Connect(Ptr<NrCell> cell, Ptr<NrCells> cells, int64_t device);
    Ptr<NrCell> FindCell(int64_t device) const;
    int64_t FindDevice(Ipv4Address address);

    Ptr<NrCell> m_cell;                      // one of the two
    Ptr<NrCells> m_cells;                    // is there
    int64_t m_device{-1};                    // negative: the gNB
    std::vector<Ptr<NrNetDevice>> m_devices; // the gNB's
    std::map<Ipv4Address, int64_t> m_byAddress;
    Ptr<Node> m_node;
    uint32_t m_index{0};
    uint16_t m_mtu{1500};
    Address m_address;
    ReceiveCallback m_receive;
    PromiscReceiveCallback m_promiscuousReceive;
    TracedCallback<Ptr<const Packet>> m_sniffer;
    TracedCallback<Ptr<const Packet>> m_transmit;
    TracedCallback<Ptr<const Packet>> m_transmitDrop;
    TracedCallback<Ptr<const Packet>> m_received;
};

} // namespace ns3::cosim

#endif
