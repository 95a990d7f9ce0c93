// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_ASCII_RECORDER_H
#define COSIM_ASCII_RECORDER_H

#include "ip-recorder.h"

#include <deque>
#include <fstream>

namespace ns3::cosim
{

/**
 * Records packets as lines of text, in the form of ns-3's ascii traces of IPv4 but with the time in ns: what happened
 * (t sent, r received, d dropped), the time in s, the headers, and the size of the payload.
 *
 * ns-3 prints packets from metadata that has to be switched on before a process makes its first packet. This does not
 * need it.
 */
class AsciiRecorder : public IpRecorder
{
  public:
    static TypeId GetTypeId();
    void Close() override;

  private:
    bool Open(const std::string& file) override;
    void Record(uint32_t file, Event event, const Ipv4Header& header, Ptr<const Packet> packet) override;

    std::deque<std::ofstream> m_files;
};

} // namespace ns3::cosim

#endif
