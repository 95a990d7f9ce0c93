// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_TRANSFER_APPLICATION_H
#define COSIM_TRANSFER_APPLICATION_H

#include "ns3/address.h"
#include "ns3/application.h"
#include "ns3/event-id.h"
#include "ns3/ipv4-address.h"
#include "ns3/socket.h"
#include "ns3/traced-callback.h"

#include <cstdint>
#include <functional>

namespace ns3
{
class TcpHeader;
class TcpSocketBase;
} // namespace ns3

namespace ns3::cosim
{

constexpr uint16_t FIRST_SERVER_PORT = 20000; ///< of the edge server's ends, one port a device
constexpr uint16_t LAST_SERVER_PORT = 29999;

/**
 * One end of the conversation between the edge server and one device, over UDP or TCP.
 *
 * Both ends are of this class: `Passive` ones belong to the edge server and wait (TCP: they listen and
 * serve the newest connection), the others belong to the device. Each end sends one block of bytes at a
 * time and counts the bytes of the block that it expects. A TCP connection lives until `Abort`, which
 * lets go of it on both sides as RFC 9293 clause 3.10.5 has it, also while it is still being opened, so that
 * no byte of an aborted block can reach a later one. One that cannot be opened is tried again, and a new one
 * carries its block from the beginning. UDP tells blocks apart by their TransferTag.
 */
class TransferApplication : public Application
{
  public:
    static TypeId GetTypeId();

    /// Send a block of `bytes` payload bytes that belongs to exchange number `exchange`.
    void Send(uint32_t exchange, uint64_t bytes);

    /// Call `complete` at the instant in which the last of `bytes` bytes of `exchange` has arrived.
    void Expect(uint32_t exchange, uint64_t bytes, std::function<void()> complete);

    /// Call `sink` with number and bytes of each datagram of a message that arrives; a message is a block that was sent
    /// as an exchange with the bit MESSAGE, and which nobody expects.
    void SetMessageSink(std::function<void(uint32_t, uint32_t)> sink);

    /// Drop what is not sent yet and what is expected; let go of the connection, if there is or will be one.
    void Abort();

    /// Connect, if this is the active end of a TCP connection that is not there.
    void Connect();

    /// Call `sink` with the other end's address whenever something was to be sent there and this node has no route.
    void SetNoRouteSink(std::function<void(Ipv4Address)> sink);

    /// True if bytes arrived behind a gap, so that earlier ones must be lost (networks deliver in order).
    bool HasGap() const;

  protected:
    void DoDispose() override;

  private:
    void StartApplication() override;
    void StopApplication() override;

    Ptr<Socket> Open();
    void Adopt(Ptr<Socket> socket);
    void Drop();
    void DropHalfOpen();
    bool HandleRequest(Ptr<Socket> listener, const Address& from);
    void HandleAccept(Ptr<Socket> socket, const Address& from);
    void HandleConnected(Ptr<Socket> socket);
    void HandleClosed(Ptr<Socket> socket);
    void HandleSegment(Ptr<const Packet> packet, const TcpHeader& header, Ptr<const TcpSocketBase> socket);
    void HandleSendSpace(Ptr<Socket> socket, uint32_t available);
    void HandleRead(Ptr<Socket> socket);
    void NoteNoRoute();
    bool IsStream() const;
    Ptr<Packet> MakePacket(uint64_t bytes);
    void Count(Ptr<const Packet> packet);
    void Push();

    uint32_t m_device{0};
    TypeId m_protocol;
    bool m_passive{false};
    Address m_local;
    Address m_remote;
    uint32_t m_payload{0};

    Ptr<Socket> m_listener;
    Ptr<Socket> m_socket;
    bool m_open{false};
    bool m_isHalfOpen{false}; // somebody has begun to connect to this passive end
    EventId m_retry;
    std::function<void(Ipv4Address)> m_noRoute;
    std::function<void(uint32_t, uint32_t)> m_message;

    uint32_t m_sendExchange{0};
    uint64_t m_sendBytes{0};
    uint64_t m_sentBytes{0};

    uint32_t m_expectExchange{0};
    uint64_t m_expectBytes{0};
    uint64_t m_receivedBytes{0};
    uint64_t m_highestEnd{0};
    std::function<void()> m_complete;

    TracedCallback<Ptr<const Packet>> m_tx;
    TracedCallback<Ptr<const Packet>> m_rx;
};

} // namespace ns3::cosim

#endif
