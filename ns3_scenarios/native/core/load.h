// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_LOAD_H
#define COSIM_LOAD_H

#include "ns3/address.h"
#include "ns3/application.h"
#include "ns3/event-id.h"
#include "ns3/nstime.h"
#include "ns3/random-variable-stream.h"
#include "ns3/socket.h"
#include "ns3/traced-callback.h"

#include <cstdint>
#include <vector>

namespace ns3::cosim
{

/// True if the packet, or a part of it, is the payload of a Load.
bool IsLoad(Ptr<const Packet> packet);

/**
 * Background traffic over UDP from its own node to a receiver, both ends of it.
 *
 * Three patterns: what `Replay` recorded, if it was called; else a packet each `Interval` of the on-times; else, with
 * an `Interval` of 0, as much as goes through. Networks deliver in order, so the newest packet that has arrived says
 * that all before it have arrived or are lost, and what is outstanding is what was sent after it. Beyond
 * `OutstandingBytes` nothing is sent: a packet of a recording or of an on-time is then dropped. If nothing arrives for
 * a while all that is outstanding may be lost, and one packet more is let through to find out. Until there is room
 * again each attempt waits a quarter longer than the one before: what is merely stuck hardly grows, and what goes again
 * is noticed within a quarter of the time for which nothing went.
 */
class Load : public Application
{
  public:
    static TypeId GetTypeId();

    /// The node that owns the remote address.
    void SetReceiver(Ptr<Node> node);

    /**
     * Send what was recorded.
     *
     * @param count number of rows
     * @param rows 2 numbers a row: time in ns from the beginning, never falling, and bytes
     * @param periodNs when the recording begins anew, or 0 if it ends
     */
    void Replay(uint32_t count, const int64_t* rows, int64_t periodNs);

    /// Payload bytes so far: that the pattern asked for, dropped since too much was outstanding, and arrived.
    uint64_t GetOfferedBytes() const;
    uint64_t GetDroppedBytes() const;
    uint64_t GetArrivedBytes() const;

  protected:
    void DoDispose() override;

  private:
    struct Row
    {
        int64_t atNs;
        uint64_t bytes;
    };

    void StartApplication() override;
    void StopApplication() override;

    Ptr<Socket> Open(Ptr<Node> node, const Address& local, const Address& remote);
    void Fill();
    void Toggle();
    void Tick();
    void PlayRow();
    Time Draw(double meanS);
    void Offer(uint64_t bytes);
    bool MaySend(uint64_t bytes);
    void Send(uint64_t bytes);
    void HandleRead(Ptr<Socket> socket);

    Ptr<Node> m_receiver;
    Address m_local;
    Address m_remote;
    uint32_t m_packetBytes{0};
    uint64_t m_mostOutstanding{0};
    Time m_interval;
    double m_meanOnS{0};
    double m_meanOffS{0};
    Ptr<ExponentialRandomVariable> m_times; // null: every on and off time is the mean

    Ptr<Socket> m_from;
    Ptr<Socket> m_to;
    EventId m_next;   // packet, row or look at what is outstanding
    EventId m_toggle; // of on and off
    bool m_filling{false};
    bool m_on{false};
    Time m_onSince;
    Time m_saved; // on-time since the last packet, up to m_onSince
    std::vector<Row> m_rows;
    int64_t m_periodNs{0};
    Time m_periodBegin;
    uint32_t m_row{0};

    uint64_t m_sentBytes{0};
    uint64_t m_settledBytes{0}; // of those sent: up to and with the newest packet that has arrived
    Time m_progress;            // when something last arrived, was first outstanding or was tried
    Time m_patience;

    uint64_t m_offeredBytes{0};
    uint64_t m_droppedBytes{0};
    uint64_t m_arrivedBytes{0};
    TracedCallback<Ptr<const Packet>> m_tx;
    TracedCallback<Ptr<const Packet>> m_rx;
};

} // namespace ns3::cosim

#endif
