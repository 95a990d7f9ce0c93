// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_QUEUE_RECORDER_H
#define COSIM_QUEUE_RECORDER_H

#include "ns3/node.h"
#include "ns3/nstime.h"
#include "ns3/object.h"
#include "ns3/queue.h"

#include <cstdint>
#include <deque>
#include <fstream>
#include <functional>
#include <string>

namespace ns3::cosim
{

/**
 * Records how long the queues of nodes are, a table of text a node: a line for each instant after which a queue is
 * longer or shorter than before. Queues are those of net devices ("device"), the root queueing discipline before each
 * ("disc"), and of Wi-Fi each access category ("BE", "BK", "VI", "VO").
 */
class QueueRecorder : public Object
{
  public:
    static TypeId GetTypeId();

    /// Record the queues that the node has now. False if the file cannot be written.
    bool AddNode(Ptr<Node> node, const std::string& file);

    /// Complete the files and record no more.
    void Close();

  private:
    /// Of one queue; `packets` and `bytes` are the latest.
    struct Length
    {
        uint32_t table;
        uint32_t interface;
        std::string queue;
        std::function<uint64_t()> countDropped;
        uint32_t packets{0};
        uint32_t bytes{0};
        uint64_t dropped{0};
        bool isChanged{false};
    };

    void Add(uint32_t table, uint32_t interface, Ptr<QueueBase> queue, const std::string& name);
    void Connect(Ptr<Object> queue, Length* length);
    static void HandlePackets(QueueRecorder* recorder, Length* length, uint32_t before, uint32_t packets);
    static void HandleBytes(QueueRecorder* recorder, Length* length, uint32_t before, uint32_t bytes);
    void Change(Length* length);
    void Write();

    std::deque<std::ofstream> m_tables;
    std::deque<Length> m_lengths; // trace sources keep the addresses of its elements
    Time m_changedAt;
    bool m_closed{false};
};

} // namespace ns3::cosim

#endif
