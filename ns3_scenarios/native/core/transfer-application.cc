// SPDX-License-Identifier: GPL-2.0-only
#include "transfer-application.h"

#include "transfer-tag.h"

#include "ns3/boolean.h"
#include "ns3/inet-socket-address.h"
#include "ns3/nstime.h"
#include "ns3/object-vector.h"
#include "ns3/pointer.h"
#include "ns3/simulator.h"
#include "ns3/socket-factory.h"
#include "ns3/tcp-congestion-ops.h"
#include "ns3/tcp-header.h"
#include "ns3/tcp-l4-protocol.h"
#include "ns3/tcp-socket-base.h"
#include "ns3/tcp-socket-factory.h"
#include "ns3/trace-source-accessor.h"
#include "ns3/udp-socket-factory.h"
#include "ns3/uinteger.h"

#include <algorithm>

namespace ns3::cosim
{

NS_OBJECT_ENSURE_REGISTERED(TransferApplication);

namespace
{

constexpr uint32_t TCP_BUFFER_BYTES = 6 * 1024 * 1024; // the largest that Linux takes by itself (tcp_rmem)
constexpr uint32_t TCP_MSS_BYTES = 1448;               // MTU 1500 less IPv4, TCP and timestamp option

/// What is protected in TcpSocketBase; a derived class may name it.
struct TcpState : public TcpSocketBase
{
    static TcpStates_t Get(Ptr<Socket> socket)
    {
        return (Of(socket)->*(&TcpState::m_state)).Get();
    }

    /// ABORT of RFC 9293 clause 3.10.5: a reset goes out where the other end knows of the connection.
    static void Abort(Ptr<Socket> socket)
    {
        switch (Get(socket))
        {
        case CLOSED:
        case LISTEN:
        case SYN_SENT:
            (Of(socket)->*(&TcpState::CloseAndNotify))();
            break;
        default:
            (Of(socket)->*(&TcpState::SendRST))();
        }
    }

    static void SendAcknowledgement(Ptr<Socket> socket)
    {
        (Of(socket)->*(&TcpState::SendEmptyPacket))(TcpHeader::ACK);
    }

    /// ns-3 takes the window of whoever knocks first for one of a connection; if it is 0, as that of a stray reset, the
    /// listener itself would begin to probe it, and end the process at the next knock.
    static void OpenWindow(Ptr<Socket> listener)
    {
        Of(listener)->*(&TcpState::m_rWnd) = 1;
    }

  private:
    static TcpSocketBase* Of(Ptr<Socket> socket)
    {
        return PeekPointer(DynamicCast<TcpSocketBase>(socket));
    }
};

} // namespace

TypeId
TransferApplication::GetTypeId()
{
    static TypeId tid =
        TypeId("ns3::cosim::TransferApplication")
            .SetParent<Application>()
            .SetGroupName("Cosim")
            .AddConstructor<TransferApplication>()
            .AddAttribute("Device",
                          "Index of the device at this conversation's other or own end.",
                          UintegerValue(0),
                          MakeUintegerAccessor(&TransferApplication::m_device),
                          MakeUintegerChecker<uint32_t>())
            .AddAttribute("Protocol",
                          "TypeId of the socket factory: ns3::UdpSocketFactory or ns3::TcpSocketFactory.",
                          TypeIdValue(UdpSocketFactory::GetTypeId()),
                          MakeTypeIdAccessor(&TransferApplication::m_protocol),
                          MakeTypeIdChecker())
            .AddAttribute("Passive",
                          "True for the edge server's end, which waits to be connected.",
                          BooleanValue(false),
                          MakeBooleanAccessor(&TransferApplication::m_passive),
                          MakeBooleanChecker())
            .AddAttribute("Local",
                          "The address and port to bind.",
                          AddressValue(),
                          MakeAddressAccessor(&TransferApplication::m_local),
                          MakeAddressChecker())
            .AddAttribute("Remote",
                          "The address and port of the other end.",
                          AddressValue(),
                          MakeAddressAccessor(&TransferApplication::m_remote),
                          MakeAddressChecker())
            .AddAttribute("DatagramPayload",
                          "Payload bytes of a full UDP datagram (1472 fills an IPv4 packet of 1500).",
                          UintegerValue(1472),
                          MakeUintegerAccessor(&TransferApplication::m_payload),
                          MakeUintegerChecker<uint32_t>(1))
            .AddTraceSource("Tx",
                            "A packet was handed to the socket.",
                            MakeTraceSourceAccessor(&TransferApplication::m_tx),
                            "ns3::Packet::TracedCallback")
            .AddTraceSource("Rx",
                            "Bytes of the expected block arrived.",
                            MakeTraceSourceAccessor(&TransferApplication::m_rx),
                            "ns3::Packet::TracedCallback");
    return tid;
}

void
TransferApplication::Send(uint32_t exchange, uint64_t bytes)
{
    m_sendExchange = exchange;
    m_sendBytes = bytes;
    m_sentBytes = 0;
    Push();
}

void
TransferApplication::Expect(uint32_t exchange, uint64_t bytes, std::function<void()> complete)
{
    m_expectExchange = exchange;
    m_expectBytes = bytes;
    m_receivedBytes = 0;
    m_highestEnd = 0;
    m_complete = std::move(complete);
}

void
TransferApplication::Abort()
{
    m_sendBytes = m_sentBytes = 0;
    m_expectBytes = 0;
    m_complete = nullptr;
    m_retry.Cancel();
    if (IsStream() && m_socket)
    {
        auto socket = m_socket;
        Drop();
        TcpState::Abort(socket);
    }
    DropHalfOpen();
}

void
TransferApplication::Connect()
{
    if (!IsStream() || m_passive || m_socket)
    {
        return;
    }
    m_retry.Cancel();
    Adopt(Open());
    m_socket->SetConnectCallback(MakeCallback(&TransferApplication::HandleConnected, this),
                                 MakeCallback(&TransferApplication::HandleClosed, this));
    m_socket->TraceConnectWithoutContext("Rx", MakeCallback(&TransferApplication::HandleSegment, this));
    if (m_socket->Connect(m_remote) != 0)
    {
        auto socket = m_socket;
        NoteNoRoute();
        HandleClosed(socket);
        TcpState::Abort(socket);
    }
}

void
TransferApplication::SetNoRouteSink(std::function<void(Ipv4Address)> sink)
{
    m_noRoute = std::move(sink);
}

void
TransferApplication::NoteNoRoute()
{
    if (m_noRoute)
    {
        m_noRoute(InetSocketAddress::ConvertFrom(m_remote).GetIpv4());
    }
}

void
TransferApplication::SetMessageSink(std::function<void(uint32_t, uint32_t)> sink)
{
    m_message = std::move(sink);
}

bool
TransferApplication::HasGap() const
{
    return m_highestEnd > m_receivedBytes;
}

void
TransferApplication::DoDispose()
{
    m_retry.Cancel();
    m_complete = nullptr;
    m_noRoute = nullptr;
    m_message = nullptr;
    m_socket = nullptr;
    m_listener = nullptr;
    Application::DoDispose();
}

void
TransferApplication::StartApplication()
{
    if (!IsStream())
    {
        Adopt(Open());
        m_socket->Connect(m_remote);
        m_open = true;
    }
    else if (m_passive)
    {
        m_listener = Open();
        m_listener->SetAcceptCallback(MakeCallback(&TransferApplication::HandleRequest, this),
                                      MakeCallback(&TransferApplication::HandleAccept, this));
        m_listener->Listen();
        TcpState::OpenWindow(m_listener);
    }
}

void
TransferApplication::StopApplication()
{
    Abort();
}

Ptr<Socket>
TransferApplication::Open()
{
    auto socket = Socket::CreateSocket(GetNode(), m_protocol);
    if (IsStream())
    {
        socket->SetAttribute("SegmentSize", UintegerValue(TCP_MSS_BYTES));
        socket->SetAttribute("SndBufSize", UintegerValue(TCP_BUFFER_BYTES));
        socket->SetAttribute("RcvBufSize", UintegerValue(TCP_BUFFER_BYTES));
        // Linux's values. ns-3's own delayed acknowledgement, 200 ms, would meet a 200 ms time-out.
        socket->SetAttribute("MinRto", TimeValue(MilliSeconds(200)));
        socket->SetAttribute("DelAckTimeout", TimeValue(MilliSeconds(40)));
    }
    else
    {
        // A whole block may wait here for the application, which reads in the same instant.
        socket->SetAttribute("RcvBufSize", UintegerValue(UINT32_MAX));
    }
    NS_ABORT_MSG_IF(socket->Bind(m_local) != 0, "TransferApplication cannot bind its local address");
    return socket;
}

void
TransferApplication::Adopt(Ptr<Socket> socket)
{
    m_socket = socket;
    m_open = false;
    m_socket->SetRecvCallback(MakeCallback(&TransferApplication::HandleRead, this));
    if (IsStream())
    {
        m_sentBytes = m_receivedBytes = m_highestEnd = 0;
        m_socket->SetSendCallback(MakeCallback(&TransferApplication::HandleSendSpace, this));
        m_socket->SetCloseCallbacks(MakeCallback(&TransferApplication::HandleClosed, this),
                                    MakeCallback(&TransferApplication::HandleClosed, this));
    }
}

void
TransferApplication::Drop()
{
    auto closed = MakeNullCallback<void, Ptr<Socket>>();
    m_socket->SetRecvCallback(closed);
    m_socket->SetSendCallback(MakeNullCallback<void, Ptr<Socket>, uint32_t>());
    m_socket->SetConnectCallback(closed, closed);
    m_socket->SetCloseCallbacks(closed, closed);
    // ns-3 goes on with a socket after it has said that it is closed, and has events of this instant that hold no
    // reference to it.
    Simulator::ScheduleNow([socket = m_socket] {});
    m_socket = nullptr;
    m_open = false;
}

void
TransferApplication::DropHalfOpen()
{
    if (!m_isHalfOpen)
    {
        return;
    }
    m_isHalfOpen = false;
    auto port = InetSocketAddress::ConvertFrom(m_local).GetPort();
    ObjectVectorValue sockets;
    GetNode()->GetObject<TcpL4Protocol>()->GetAttribute("SocketList", sockets);
    for (auto each = sockets.Begin(); each != sockets.End(); each++)
    {
        auto socket = DynamicCast<Socket>(each->second);
        Address local;
        socket->GetSockName(local);
        bool isOurs =
            InetSocketAddress::IsMatchingType(local) && InetSocketAddress::ConvertFrom(local).GetPort() == port;
        if (isOurs && TcpState::Get(socket) == TcpSocket::SYN_RCVD)
        {
            TcpState::Abort(socket);
        }
    }
}

bool
TransferApplication::HandleRequest(Ptr<Socket> listener, const Address& from)
{
    m_isHalfOpen = true;
    return true;
}

void
TransferApplication::HandleAccept(Ptr<Socket> socket, const Address& from)
{
    m_isHalfOpen = false;
    if (m_socket)
    {
        Drop(); // the other end has connected anew: the old connection is dead
    }
    // ns-3's TcpCubic forgets this flag, which is true unless set otherwise, where it is copied for a new connection:
    // what lay in memory would decide.
    PointerValue congestion;
    socket->GetAttribute("CongestionOps", congestion);
    congestion.Get<TcpCongestionOps>()->SetAttributeFailSafe("TcpFriendliness", BooleanValue(true));
    Adopt(socket);
    m_open = true;
    Push();
}

void
TransferApplication::HandleConnected(Ptr<Socket> socket)
{
    m_open = true;
    Push();
}

void
TransferApplication::HandleClosed(Ptr<Socket> socket)
{
    if (socket != m_socket)
    {
        return;
    }
    Drop();
    if (!m_passive)
    {
        TimeValue pause; // as after a SYN that was not answered
        socket->GetAttribute("ConnTimeout", pause);
        m_retry = Simulator::Schedule(pause.Get(), &TransferApplication::Connect, this);
    }
}

void
TransferApplication::HandleSegment(Ptr<const Packet> packet, const TcpHeader& header, Ptr<const TcpSocketBase> socket)
{
    // A SYN on an open connection says that our acknowledgement of it was lost. RFC 9293 clause 3.10.7.4 has it sent
    // again; ns-3 does not, and the other end would never open.
    if (m_open && socket == m_socket && (header.GetFlags() & TcpHeader::SYN))
    {
        TcpState::SendAcknowledgement(m_socket);
    }
}

void
TransferApplication::HandleSendSpace(Ptr<Socket> socket, uint32_t available)
{
    Push();
}

void
TransferApplication::HandleRead(Ptr<Socket> socket)
{
    while (auto packet = socket->Recv())
    {
        if (packet->GetSize() == 0)
        {
            break; // end of the stream
        }
        Count(packet);
    }
}

bool
TransferApplication::IsStream() const
{
    return m_protocol == TcpSocketFactory::GetTypeId();
}

Ptr<Packet>
TransferApplication::MakePacket(uint64_t bytes)
{
    auto packet = Create<Packet>(static_cast<uint32_t>(bytes));
    TransferTag tag;
    tag.device = m_device;
    tag.exchange = m_sendExchange;
    tag.end = m_sentBytes + bytes;
    packet->AddByteTag(tag);
    return packet;
}

void
TransferApplication::Count(Ptr<const Packet> packet)
{
    TransferTag tag;
    if (!packet->FindFirstMatchingByteTag(tag))
    {
        return;
    }
    if ((tag.exchange & MESSAGE) && m_message)
    {
        m_rx(packet);
        m_message(tag.exchange & ~MESSAGE, packet->GetSize());
        return;
    }
    if (!m_complete || tag.exchange != m_expectExchange)
    {
        return;
    }
    m_rx(packet);
    m_receivedBytes += packet->GetSize();
    m_highestEnd = std::max(m_highestEnd, IsStream() ? m_receivedBytes : tag.end);
    if (m_receivedBytes == m_expectBytes)
    {
        auto complete = std::move(m_complete);
        m_complete = nullptr;
        complete();
    }
}

void
TransferApplication::Push()
{
    while (m_open && m_sentBytes < m_sendBytes)
    {
        uint64_t bytes = std::min(m_sendBytes - m_sentBytes, uint64_t{IsStream() ? TCP_MSS_BYTES : m_payload});
        if (IsStream() && m_socket->GetTxAvailable() < bytes)
        {
            return; // HandleSendSpace goes on, with whole segments: ns-3 would cut and join them at great expense
        }
        auto packet = MakePacket(bytes);
        bool isRefused = m_socket->Send(packet) < 0;
        if (isRefused && IsStream())
        {
            return;
        }
        if (isRefused && m_socket->GetErrno() == Socket::ERROR_NOROUTETOHOST)
        {
            NoteNoRoute();
        }
        m_tx(packet);
        m_sentBytes += bytes; // a datagram that has no route is lost, as on any UDP socket
    }
}

} // namespace ns3::cosim
