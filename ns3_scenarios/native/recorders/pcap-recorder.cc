// SPDX-License-Identifier: GPL-2.0-only
#include "pcap-recorder.h"

#include "ns3/ampdu-subframe-header.h"
#include "ns3/boolean.h"
#include "ns3/simulator.h"
#include "ns3/trace-helper.h"
#include "ns3/wifi-net-device.h"
#include "ns3/wifi-phy.h"

#include <map>

namespace ns3::cosim
{

NS_OBJECT_ENSURE_REGISTERED(PcapRecorder);

namespace
{

constexpr uint32_t KEPT_BYTES = 128; // of a packet: all headers; transfers have no content

using File = Ptr<PcapFileWrapper>;

uint32_t
GetLinkType(Ptr<NetDevice> device)
{
    static const std::map<std::string, uint32_t> TYPES{
        {"ns3::PointToPointNetDevice", PcapHelper::DLT_PPP},
        {"ns3::CsmaNetDevice", PcapHelper::DLT_EN10MB},
        {"ns3::WifiNetDevice", PcapHelper::DLT_IEEE802_11},
    };
    auto found = TYPES.find(device->GetInstanceTypeId().GetName());
    return found == TYPES.end() ? PcapHelper::DLT_NULL : found->second;
}

void
WriteFrame(File file, Ptr<const Packet> frame)
{
    if (!file->Fail()) // a full disk ends the record, not the simulation
    {
        file->Write(Simulator::Now(), frame);
    }
}

void
WriteMpdu(File file, Ptr<const Packet> packet, MpduInfo info)
{
    if (info.type == NORMAL_MPDU)
    {
        WriteFrame(file, packet);
        return;
    }
    auto mpdu = packet->Copy();
    AmpduSubframeHeader delimiter;
    mpdu->RemoveHeader(delimiter);
    WriteFrame(file, mpdu->CreateFragment(0, delimiter.GetLength())); // without the padding
}

void
WriteSentMpdu(File file, Ptr<const Packet> packet, uint16_t, WifiTxVector, MpduInfo info, uint16_t)
{
    WriteMpdu(file, packet, info);
}

void
WriteReceivedMpdu(File file, Ptr<const Packet> packet, uint16_t, WifiTxVector, MpduInfo info, SignalNoiseDbm, uint16_t)
{
    WriteMpdu(file, packet, info);
}

} // namespace

TypeId
PcapRecorder::GetTypeId()
{
    static TypeId tid =
        TypeId("ns3::cosim::PcapRecorder").SetParent<IpRecorder>().SetGroupName("Cosim").AddConstructor<PcapRecorder>();
    return tid;
}

bool
PcapRecorder::HasFrames(Ptr<NetDevice> device)
{
    return GetLinkType(device) != PcapHelper::DLT_NULL;
}

bool
PcapRecorder::AddDevice(Ptr<NetDevice> device, const std::string& file)
{
    if (!Open(file, GetLinkType(device)))
    {
        return false;
    }
    auto written = m_files.back();
    if (auto wifi = DynamicCast<WifiNetDevice>(device))
    {
        for (const auto& phy : wifi->GetPhys())
        {
            phy->TraceConnectWithoutContext("MonitorSnifferTx", MakeBoundCallback(&WriteSentMpdu, written));
            phy->TraceConnectWithoutContext("MonitorSnifferRx", MakeBoundCallback(&WriteReceivedMpdu, written));
        }
    }
    else
    {
        device->TraceConnectWithoutContext("PromiscSniffer", MakeBoundCallback(&WriteFrame, written));
    }
    return true;
}

bool
PcapRecorder::Open(const std::string& file)
{
    bool open = Open(file, PcapHelper::DLT_RAW);
    m_ipFiles.push_back(m_files.back());
    return open;
}

bool
PcapRecorder::Open(const std::string& file, uint32_t linkType)
{
    auto& written = m_files.emplace_back(CreateObject<PcapFileWrapper>());
    written->SetAttribute("NanosecMode", BooleanValue(true));
    written->Open(file, std::ios::out | std::ios::binary);
    if (written->Fail())
    {
        return false;
    }
    written->Init(linkType, KEPT_BYTES);
    return true;
}

void
PcapRecorder::Record(uint32_t file, Event event, const Ipv4Header& header, Ptr<const Packet> packet)
{
    if (event != Event::DROPPED)
    {
        WriteFrame(m_ipFiles[file], packet);
    }
}

void
PcapRecorder::Close()
{
    for (const auto& file : m_files)
    {
        file->Close();
    }
}

} // namespace ns3::cosim
