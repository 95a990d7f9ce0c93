// SPDX-License-Identifier: GPL-2.0-only
#include "exchange.h"

#include "queues.h"
#include "transfer-tag.h"

#include "ns3/boolean.h"
#include "ns3/inet-socket-address.h"
#include "ns3/ipv4-address.h"
#include "ns3/node-list.h"
#include "ns3/nstime.h"
#include "ns3/simulator.h"
#include "ns3/tcp-socket-factory.h"
#include "ns3/trace-source-accessor.h"
#include "ns3/udp-socket-factory.h"
#include "ns3/uinteger.h"

#include <algorithm>

namespace ns3::cosim
{

NS_OBJECT_ENSURE_REGISTERED(ExchangeEngine);

namespace
{

constexpr uint16_t DEVICE_PORT = 20000;

constexpr int64_t ATTACH_POLL_NS = 1'000'000; // an LTE subframe

} // namespace

TypeId
ExchangeEngine::GetTypeId()
{
    static TypeId tid = TypeId("ns3::cosim::ExchangeEngine")
                            .SetParent<Object>()
                            .SetGroupName("Cosim")
                            .AddConstructor<ExchangeEngine>()
                            .AddTraceSource("Done",
                                            "A transfer is done: number of the exchange and index of the device.",
                                            MakeTraceSourceAccessor(&ExchangeEngine::m_done),
                                            "ns3::cosim::ExchangeEngine::DoneTracedCallback");
    return tid;
}

void
ExchangeEngine::AddDevice(Ptr<Node> server,
                          Address serverAddress,
                          Ptr<Node> device,
                          Address deviceAddress,
                          const TypeId& protocol)
{
    auto index = static_cast<uint32_t>(m_ends.size());
    auto serverPort = static_cast<uint16_t>(FIRST_SERVER_PORT + index);
    InetSocketAddress atServer(Ipv4Address::ConvertFrom(serverAddress), serverPort);
    InetSocketAddress atDevice(Ipv4Address::ConvertFrom(deviceAddress), DEVICE_PORT);
    auto install = [&](Ptr<Node> node, bool passive, const Address& local, const Address& remote, const TypeId& over) {
        auto application = CreateObject<TransferApplication>();
        application->SetAttribute("Device", UintegerValue(index));
        application->SetAttribute("Protocol", TypeIdValue(over));
        application->SetAttribute("Passive", BooleanValue(passive));
        application->SetAttribute("Local", AddressValue(local));
        application->SetAttribute("Remote", AddressValue(remote));
        node->AddApplication(application);
        return application;
    };
    m_server = server;
    // A TCP connection takes a fresh port, so that nothing of one that was reset can reach the next.
    bool isStream = protocol == TcpSocketFactory::GetTypeId();
    auto life = CreateObject<DeviceLife>();
    life->SetSinks(
        [this, index](bool absent) {
            absent ? Leave(index) : Join(index);
            m_sampler->HandleLife();
        },
        [this, device](bool cut) {
            m_obstruction->SetCut(device, cut);
            m_sampler->HandleLife();
        });
    auto serverEnd = install(server, true, atServer, atDevice, protocol);
    auto deviceEnd = install(device, false, InetSocketAddress(isStream ? 0 : DEVICE_PORT), atServer, protocol);
    m_ends.push_back({serverEnd, deviceEnd, device, isStream, life, serverEnd, deviceEnd});
    if (isStream)
    {
        auto datagrams = UdpSocketFactory::GetTypeId();
        m_ends.back().messageServer = install(server, true, atServer, atDevice, datagrams);
        m_ends.back().messageDevice = install(device, false, InetSocketAddress(DEVICE_PORT), atServer, datagrams);
    }
    m_drops.AddDevice(Ipv4Address::ConvertFrom(deviceAddress));
    m_ends.back().messageServer->SetMessageSink(
        [this, index](uint32_t number, uint32_t bytes) { HandleMessage(index, true, number, bytes); });
    m_ends.back().messageDevice->SetMessageSink(
        [this, index](uint32_t number, uint32_t bytes) { HandleMessage(index, false, number, bytes); });
    for (const auto& end : {m_ends.back().server, m_ends.back().device})
    {
        end->SetNoRouteSink(
            [this, index, node = end->GetNode()](Ipv4Address address) { HandleNoRoute(index, node, address); });
    }
    auto sink = MakeCallback(&ExchangeEngine::HandleDrop, this);
    WatchDevices(device, sink);
    if (index == 0)
    {
        WatchDevices(server, sink);
    }
}

void
ExchangeEngine::WatchDrops()
{
    auto sink = MakeCallback(&ExchangeEngine::HandleDrop, this);
    for (auto node = NodeList::Begin(); node != NodeList::End(); node++)
    {
        WatchQueues(*node, sink);
        m_drops.Watch(*node, [this](Ptr<const Packet> packet) { HandleDrop(packet); });
    }
}

void
ExchangeEngine::SetRadio(Ptr<Radio> radio)
{
    m_radio = radio;
}

Ptr<DeviceLife>
ExchangeEngine::GetLife(uint32_t device) const
{
    return m_ends[device].life;
}

bool
ExchangeEngine::Obstruct(uint32_t device)
{
    m_obstruction = m_obstruction ? m_obstruction : Create<Obstruction>();
    return m_obstruction->Obstruct(m_ends[device].deviceNode, m_radio->GetChannels(device));
}

bool
ExchangeEngine::IsConnected(uint32_t device) const
{
    return m_ends[device].life->IsPresent() && m_radio->IsConnected(device);
}

void
ExchangeEngine::RunUntil(int64_t untilNs)
{
    Simulator::Stop(NanoSeconds(untilNs) - Simulator::Now());
    Simulator::Run();
}

bool
ExchangeEngine::Attach(int64_t untilNs)
{
    WatchDrops();
    Simulator::ScheduleNow(&ExchangeEngine::PollAttach, this, untilNs);
    Simulator::Run();
    return IsAttached();
}

bool
ExchangeEngine::IsAttached() const
{
    for (uint32_t device = 0; device < m_ends.size(); device++)
    {
        if (!m_radio->IsConnected(device)) // an absent one, too: its radio attaches beforehand
        {
            return false;
        }
    }
    return true;
}

void
ExchangeEngine::FollowTrack(Ptr<Node> user)
{
    m_tracks.Follow(user);
}

void
ExchangeEngine::BeginRecords()
{
    m_tracks.Begin();
    auto devices = static_cast<uint32_t>(m_ends.size());
    m_sampler->Begin(m_radio, devices, [this](uint32_t device) { return GetAccess(device); });
}

void
ExchangeEngine::PollAttach(int64_t untilNs)
{
    for (uint32_t device = 0; device < m_ends.size(); device++)
    {
        if (IsConnected(device))
        {
            m_ends[device].device->Connect();
        }
    }
    if (IsAttached() || GetNow() >= untilNs)
    {
        Simulator::Stop();
        return;
    }
    Simulator::Schedule(NanoSeconds(ATTACH_POLL_NS), &ExchangeEngine::PollAttach, this, untilNs);
}

ChannelSampler::Access
ExchangeEngine::GetAccess(uint32_t device) const
{
    if (!IsConnected(device))
    {
        return ChannelSampler::Access::DISCONNECTED;
    }
    bool cut = m_obstruction && m_obstruction->IsCut(m_ends[device].deviceNode);
    return cut ? ChannelSampler::Access::CUT : ChannelSampler::Access::OPEN;
}

Ptr<ChannelSampler>
ExchangeEngine::GetChannelSampler() const
{
    return m_sampler;
}

uint32_t
ExchangeEngine::GetTrackBytes() const
{
    return m_tracks.GetCount() * sizeof(TrackRecord::Row);
}

void
ExchangeEngine::TakeTracks(uint8_t* rows)
{
    m_tracks.Take(rows);
}

uint32_t
ExchangeEngine::GetDropCount() const
{
    return m_drops.GetCount();
}

void
ExchangeEngine::TakeDrops(int64_t* rows)
{
    for (const auto& drop : m_drops.Take())
    {
        *rows++ = drop.device;
        *rows++ = static_cast<int64_t>(drop.reason);
        *rows++ = drop.node;
        *rows++ = drop.address.Get();
    }
}

bool
ExchangeEngine::Exchange(uint32_t count,
                         const int64_t* asked,
                         int64_t departNs,
                         int64_t deadlineNs,
                         int64_t wait,
                         int64_t* answer,
                         double* air)
{
    m_exchange++;
    m_drops.Begin();
    m_wait = static_cast<Wait>(wait);
    m_pipelines.assign(count, {});
    m_statuses.assign(count, Status::LATE);
    for (uint32_t i = 0; i < count; i++, asked += 4)
    {
        m_pipelines[i].device = static_cast<uint32_t>(asked[0]);
        m_pipelines[i].downlinkBytes = static_cast<uint64_t>(asked[1]);
        m_pipelines[i].computeNs = asked[2];
        m_pipelines[i].uplinkBytes = static_cast<uint64_t>(asked[3]);
    }
    m_running = true;
    m_departure = Simulator::Schedule(NanoSeconds(departNs) - Simulator::Now(), &ExchangeEngine::Depart, this);
    m_deadline = Simulator::Schedule(NanoSeconds(deadlineNs) - Simulator::Now(), &ExchangeEngine::HandleDeadline, this);
    if (m_interrupt)
    {
        Simulator::ScheduleNow(&ExchangeEngine::HandleInterrupt, this);
    }
    Simulator::Run();
    for (uint32_t i = 0; i < count; i++)
    {
        const auto& pipeline = m_pipelines[i];
        *answer++ = static_cast<int64_t>(m_statuses[i]);
        *answer++ = pipeline.downlinkBegin;
        *answer++ = pipeline.downlinkEnd;
        *answer++ = pipeline.computeEnd;
        *answer++ = pipeline.uplinkEnd;
        *air++ = pipeline.air.downlinkJ;
        *air++ = pipeline.air.uplinkJ;
    }
    return !m_interrupt;
}

bool
ExchangeEngine::Convey(uint32_t count, const int64_t* asked, int64_t untilNs)
{
    for (uint32_t i = 0; i < count; i++, asked += 6)
    {
        auto number = static_cast<uint32_t>(asked[0]);
        auto& message = m_messages[number];
        message.next.Cancel(); // of one with the same number, which this one replaces
        message = {};
        message.device = static_cast<uint32_t>(asked[1]);
        message.isUplink = asked[2] != 0;
        message.bytes = static_cast<uint64_t>(asked[3]);
        message.deadlineNs = asked[5];
        message.next =
            Simulator::Schedule(NanoSeconds(asked[4]) - Simulator::Now(), &ExchangeEngine::BeginMessage, this, number);
    }
    m_conveying = true;
    m_conveyed = Simulator::Schedule(NanoSeconds(untilNs) - Simulator::Now(), &ExchangeEngine::HandleConveyed, this);
    if (m_interrupt)
    {
        Simulator::ScheduleNow(&ExchangeEngine::HandleInterrupt, this);
    }
    Simulator::Run();
    m_conveyed.Cancel();
    return !m_interrupt;
}

uint32_t
ExchangeEngine::GetDeliveryCount() const
{
    return static_cast<uint32_t>(m_deliveries.size());
}

void
ExchangeEngine::TakeDeliveries(int64_t* rows)
{
    for (const auto& delivery : m_deliveries)
    {
        *rows++ = delivery.message;
        *rows++ = static_cast<int64_t>(delivery.status);
        *rows++ = delivery.endNs;
    }
    m_deliveries.clear();
}

void
ExchangeEngine::BeginMessage(uint32_t number)
{
    auto& message = m_messages.at(number);
    if (!IsConnected(message.device))
    {
        EndMessage(number, Status::UNREACHABLE);
        return;
    }
    message.sentNs = GetNow();
    message.next = Simulator::Schedule(NanoSeconds(message.deadlineNs) - Simulator::Now(),
                                       &ExchangeEngine::HandleMessageDeadline,
                                       this,
                                       number);
    auto& ends = m_ends[message.device];
    (message.isUplink ? ends.messageDevice : ends.messageServer)->Send(MESSAGE | number, message.bytes);
}

void
ExchangeEngine::HandleMessage(uint32_t device, bool isUplink, uint32_t number, uint32_t bytes)
{
    auto found = m_messages.find(number);
    if (found == m_messages.end() || found->second.device != device || found->second.isUplink != isUplink)
    {
        return; // the rest of one that was given up
    }
    found->second.receivedBytes += bytes;
    if (found->second.receivedBytes == found->second.bytes)
    {
        EndMessage(number, Status::DONE);
    }
}

void
ExchangeEngine::HandleMessageDeadline(uint32_t number)
{
    // Behind all that is due at this very instant, as of an exchange.
    m_messages.at(number).next = Simulator::ScheduleNow(&ExchangeEngine::GiveUpMessage, this, number);
}

void
ExchangeEngine::GiveUpMessage(uint32_t number)
{
    const auto& message = m_messages.at(number);
    bool lost = message.lost || m_radio->IsQuiet(message.device, message.sentNs);
    EndMessage(number, lost ? Status::LOST : Status::LATE);
}

void
ExchangeEngine::EndMessage(uint32_t number, Status status)
{
    m_messages.at(number).next.Cancel();
    m_messages.erase(number);
    m_deliveries.push_back({number, status, GetNow()});
    EndConvey();
}

void
ExchangeEngine::HandleConveyed()
{
    m_conveyed = Simulator::ScheduleNow(&ExchangeEngine::EndConvey, this);
}

void
ExchangeEngine::EndConvey()
{
    if (m_conveying)
    {
        m_conveying = false;
        Simulator::Stop();
    }
}

void
ExchangeEngine::Depart()
{
    m_pending = 0;
    for (auto& pipeline : m_pipelines)
    {
        pipeline.reachable = IsConnected(pipeline.device);
        pipeline.airBefore = m_radio->GetAirEnergy(pipeline.device);
        Measure(pipeline);
        m_pending += pipeline.reachable ? 1 : 0;
    }
    for (auto& pipeline : m_pipelines)
    {
        if (pipeline.reachable)
        {
            Begin(pipeline);
        }
    }
    if (m_pending == 0 && m_wait != Wait::DEADLINE)
    {
        End();
    }
}

void
ExchangeEngine::Begin(Pipeline& pipeline)
{
    auto& ends = m_ends[pipeline.device];
    ends.device->Connect();
    ends.device->Expect(m_exchange, pipeline.downlinkBytes, [this, &pipeline] { HandleDownlinkEnd(&pipeline); });
    ends.server->Expect(m_exchange, pipeline.uplinkBytes, [this, &pipeline] { HandleUplinkEnd(&pipeline); });
    ends.life->Enter(DevicePhase::RECEIVING);
    pipeline.downlinkBegin = GetNow();
    ends.server->Send(m_exchange, pipeline.downlinkBytes);
}

void
ExchangeEngine::Measure(Pipeline& pipeline) const
{
    auto now = m_radio->GetAirEnergy(pipeline.device);
    pipeline.air = {now.downlinkJ - pipeline.airBefore.downlinkJ, now.uplinkJ - pipeline.airBefore.uplinkJ};
}

void
ExchangeEngine::HandleDownlinkEnd(Pipeline* pipeline)
{
    auto& life = m_ends[pipeline->device].life;
    life->Enter(DevicePhase::COMPUTING);
    pipeline->downlinkEnd = GetNow();
    auto computeNs = life->GetComputeNs(pipeline->computeNs);
    pipeline->computing =
        Simulator::Schedule(NanoSeconds(computeNs), &ExchangeEngine::HandleComputeEnd, this, pipeline);
}

void
ExchangeEngine::HandleComputeEnd(Pipeline* pipeline)
{
    auto& ends = m_ends[pipeline->device];
    ends.life->Enter(DevicePhase::TRANSMITTING);
    pipeline->computeEnd = GetNow();
    ends.device->Send(m_exchange, pipeline->uplinkBytes);
}

void
ExchangeEngine::HandleUplinkEnd(Pipeline* pipeline)
{
    m_ends[pipeline->device].life->Enter(DevicePhase::IDLE);
    pipeline->uplinkEnd = GetNow();
    Measure(*pipeline);
    m_pending--;
    m_done(m_exchange, pipeline->device);
    if (m_wait == Wait::ANY || (m_wait == Wait::ALL && m_pending == 0))
    {
        End();
    }
}

void
ExchangeEngine::HandleDeadline()
{
    // Behind all that is due at this very instant: an answer that arrives at the deadline is in time.
    m_deadline = Simulator::ScheduleNow(&ExchangeEngine::End, this);
}

void
ExchangeEngine::End()
{
    m_running = false;
    m_departure.Cancel();
    m_deadline.Cancel();
    for (uint32_t i = 0; i < m_pipelines.size(); i++)
    {
        m_statuses[i] = GetStatus(m_pipelines[i]);
        if (m_statuses[i] != Status::DONE)
        {
            m_drops.Keep(m_pipelines[i].device);
        }
    }
    for (auto& pipeline : m_pipelines)
    {
        if (pipeline.uplinkEnd < 0 && pipeline.reachable)
        {
            Cancel(pipeline);
        }
    }
    Simulator::Stop();
}

void
ExchangeEngine::Cancel(Pipeline& pipeline)
{
    auto& ends = m_ends[pipeline.device];
    Measure(pipeline);
    pipeline.computing.Cancel();
    ends.life->Enter(DevicePhase::IDLE);
    Silence(pipeline.device);
    if (IsConnected(pipeline.device))
    {
        ends.device->Connect();
    }
}

void
ExchangeEngine::Silence(uint32_t device)
{
    auto& ends = m_ends[device];
    ends.server->Abort();
    ends.device->Abort();
    DiscardTransfers(m_server, device);
    DiscardTransfers(ends.deviceNode, device);
    m_radio->Discard(device, m_departure.IsPending() ? m_exchange - 1 : m_exchange);
}

void
ExchangeEngine::Leave(uint32_t device)
{
    std::vector<uint32_t> left;
    for (const auto& [number, message] : m_messages)
    {
        if (message.device == device && message.sentNs >= 0)
        {
            left.push_back(number);
        }
    }
    for (auto number : left)
    {
        EndMessage(number, Status::UNREACHABLE);
    }
    auto underWay = std::find_if(m_pipelines.begin(), m_pipelines.end(), [this, device](const auto& pipeline) {
        return m_running && pipeline.device == device && pipeline.reachable && pipeline.uplinkEnd < 0;
    });
    if (underWay == m_pipelines.end())
    {
        Silence(device);
        return;
    }
    Cancel(*underWay);
    underWay->reachable = false;
    m_pending--;
    if (m_pending == 0 && m_wait != Wait::DEADLINE)
    {
        End();
    }
}

void
ExchangeEngine::Join(uint32_t device)
{
    if (IsConnected(device))
    {
        m_ends[device].device->Connect();
    }
}

Status
ExchangeEngine::GetStatus(const Pipeline& pipeline) const
{
    if (pipeline.uplinkEnd >= 0)
    {
        return Status::DONE;
    }
    if (!pipeline.reachable || !IsConnected(pipeline.device))
    {
        return Status::UNREACHABLE;
    }
    const auto& ends = m_ends[pipeline.device];
    auto sent = std::max(pipeline.downlinkBegin, pipeline.computeEnd);
    bool vanished = sent >= 0 && !pipeline.computing.IsPending() && m_radio->IsQuiet(pipeline.device, sent);
    bool lost = pipeline.lost || ends.server->HasGap() || ends.device->HasGap() || (vanished && !ends.isStream);
    return lost ? Status::LOST : Status::LATE;
}

void
ExchangeEngine::Interrupt()
{
    std::lock_guard lock(m_lifetime);
    m_interrupt = true;
    if (m_closed)
    {
        return;
    }
    Simulator::ScheduleWithContext(Simulator::NO_CONTEXT, Seconds(0), &ExchangeEngine::HandleInterrupt, this);
}

void
ExchangeEngine::HandleInterrupt()
{
    if (m_running && m_interrupt)
    {
        End();
    }
    if (m_interrupt)
    {
        EndConvey();
    }
}

void
ExchangeEngine::HandleDrop(Ptr<const Packet> packet)
{
    TransferTag tag;
    if (!packet->FindFirstMatchingByteTag(tag))
    {
        return;
    }
    if (tag.exchange & MESSAGE)
    {
        auto found = m_messages.find(tag.exchange & ~MESSAGE);
        if (found != m_messages.end())
        {
            found->second.lost = true;
        }
    }
    else if (tag.exchange == m_exchange)
    {
        MarkLost(tag.device);
    }
}

void
ExchangeEngine::HandleNoRoute(uint32_t device, Ptr<Node> node, Ipv4Address address)
{
    m_drops.Note(device, DropReason::NO_ROUTE, node->GetId(), address);
    if (m_running)
    {
        MarkLost(device);
    }
}

void
ExchangeEngine::MarkLost(uint32_t device)
{
    for (auto& pipeline : m_pipelines)
    {
        pipeline.lost = pipeline.lost || (pipeline.device == device && !m_ends[device].isStream);
    }
}

int64_t
ExchangeEngine::GetNow() const
{
    std::lock_guard lock(m_lifetime);
    return m_closed ? m_lastNow : Simulator::Now().GetNanoSeconds();
}

void
ExchangeEngine::Close()
{
    std::lock_guard lock(m_lifetime);
    m_lastNow = Simulator::Now().GetNanoSeconds();
    m_closed = true;
}

void
ExchangeEngine::DoDispose()
{
    m_radio = nullptr;
    m_sampler->Dispose();
    m_tracks.Clear();
    m_obstruction = nullptr;
    m_server = nullptr;
    m_ends.clear();
    m_pipelines.clear();
    m_messages.clear();
    Object::DoDispose();
}

} // namespace ns3::cosim
