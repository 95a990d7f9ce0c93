// SPDX-License-Identifier: GPL-2.0-only
#include "ascii-recorder.h"

#include "units.h"

#include "ns3/simulator.h"
#include "ns3/tcp-header.h"
#include "ns3/tcp-l4-protocol.h"
#include "ns3/udp-header.h"
#include "ns3/udp-l4-protocol.h"

#include <iomanip>

namespace ns3::cosim
{

NS_OBJECT_ENSURE_REGISTERED(AsciiRecorder);

namespace
{

void
PrintHeader(std::ostream& out, const Header& header)
{
    out << ' ' << header.GetInstanceTypeId().GetName() << " (";
    header.Print(out);
    out << ')';
}

template <typename Layer>
void
PrintNext(std::ostream& out, Ptr<Packet> packet)
{
    Layer header;
    packet->RemoveHeader(header);
    PrintHeader(out, header);
}

} // namespace

TypeId
AsciiRecorder::GetTypeId()
{
    static TypeId tid = TypeId("ns3::cosim::AsciiRecorder")
                            .SetParent<IpRecorder>()
                            .SetGroupName("Cosim")
                            .AddConstructor<AsciiRecorder>();
    return tid;
}

bool
AsciiRecorder::Open(const std::string& file)
{
    return m_files.emplace_back(file).is_open();
}

void
AsciiRecorder::Record(uint32_t file, Event event, const Ipv4Header& header, Ptr<const Packet> packet)
{
    auto& out = m_files[file];
    auto now = Simulator::Now().GetNanoSeconds();
    out << static_cast<char>(event) << ' ' << now / NS_PER_S << '.' << std::setw(9) << std::setfill('0')
        << now % NS_PER_S;
    PrintHeader(out, header);
    auto rest = packet->Copy();
    Ipv4Header first;
    rest->RemoveHeader(first);
    bool whole = header.IsLastFragment() && header.GetFragmentOffset() == 0;
    if (whole && header.GetProtocol() == UdpL4Protocol::PROT_NUMBER)
    {
        PrintNext<UdpHeader>(out, rest);
    }
    else if (whole && header.GetProtocol() == TcpL4Protocol::PROT_NUMBER)
    {
        PrintNext<TcpHeader>(out, rest);
    }
    out << " Payload (size=" << rest->GetSize() << ")\n";
}

void
AsciiRecorder::Close()
{
    for (auto& file : m_files)
    {
        file.close();
    }
}

} // namespace ns3::cosim
