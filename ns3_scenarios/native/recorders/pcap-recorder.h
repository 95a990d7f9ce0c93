// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_PCAP_RECORDER_H
#define COSIM_PCAP_RECORDER_H

#include "ip-recorder.h"

#include "ns3/net-device.h"
#include "ns3/pcap-file-wrapper.h"

#include <vector>

namespace ns3::cosim
{

/// Records packets in pcap files with timestamps in ns: their first bytes, which hold the headers, and their length.
class PcapRecorder : public IpRecorder
{
  public:
    static TypeId GetTypeId();

    /// Whether a net device shows its frames: point to point, CSMA and Wi-Fi.
    static bool HasFrames(Ptr<NetDevice> device);

    /// Record the frames that such a device sends and receives. False if the file cannot be written.
    bool AddDevice(Ptr<NetDevice> device, const std::string& file);

    void Close() override;

  private:
    bool Open(const std::string& file) override;
    bool Open(const std::string& file, uint32_t linkType);
    void Record(uint32_t file, Event event, const Ipv4Header& header, Ptr<const Packet> packet) override;

    std::vector<Ptr<PcapFileWrapper>> m_ipFiles;
    std::vector<Ptr<PcapFileWrapper>> m_files;
};

} // namespace ns3::cosim

#endif
