// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_IP_RECORDER_H
#define COSIM_IP_RECORDER_H

#include "ns3/ipv4-l3-protocol.h"
#include "ns3/node.h"
#include "ns3/object.h"

#include <set>
#include <string>

namespace ns3::cosim
{

/**
 * Follows the IPv4 packets of some addresses through nodes, and records each where a subclass puts it: one file a node.
 *
 * ns-3's own traces of IPv4 (InternetStackHelper) keep their files in variables of the whole process, so that these
 * would stay open, and incomplete, until it ends.
 */
class IpRecorder : public Object
{
  public:
    static TypeId GetTypeId();

    /// Record packets from and to this address.
    void Follow(Ipv4Address address);

    /// Record what a node sends and receives, on all its interfaces. False if the file cannot be written.
    bool AddNode(Ptr<Node> node, const std::string& file);

    /// Complete the files and record no more.
    virtual void Close() = 0;

  protected:
    enum class Event : char
    {
        SENT = 't',
        RECEIVED = 'r',
        DROPPED = 'd',
    };

    /// Begin the next file. False if it cannot be written.
    virtual bool Open(const std::string& file) = 0;

    /// Record a packet, which begins with this header, in the file of that number, counted from 0.
    virtual void Record(uint32_t file, Event event, const Ipv4Header& header, Ptr<const Packet> packet) = 0;

  private:
    void HandlePacket(uint32_t file, Event event, Ptr<const Packet> packet, Ptr<Ipv4> ip, uint32_t interface);
    void HandleDrop(uint32_t file,
                    const Ipv4Header& header,
                    Ptr<const Packet> payload,
                    Ipv4L3Protocol::DropReason reason,
                    Ptr<Ipv4> ip,
                    uint32_t interface);

    std::set<Ipv4Address> m_followed;
    uint32_t m_files{0};
};

} // namespace ns3::cosim

#endif
