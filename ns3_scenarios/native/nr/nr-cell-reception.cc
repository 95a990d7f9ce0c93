// SPDX-License-Identifier: GPL-2.0-only
// What comes of a block on the air, and what is measured there.
#include "nr-cell.h"
#include "nr-cells.h"

namespace ns3::cosim
{

namespace
{

/// Of a gain over noise make that over 1 / `kept` times as much.
void
Lower(NrPrbGain& gain, double kept)
{
    gain.single *= kept;
    gain.first *= kept;
    gain.second *= kept;
    gain.crossed *= kept * kept;
}

} // namespace

void
NrCell::Hear(const NrSent& sent, bool isUplink, int64_t slot)
{
    auto& link = m_links[sent.device];
    auto& direction = Get(link, isUplink);
    auto& process = direction.processes[sent.process];
    const auto& grid = (isUplink ? m_uplink : m_downlink).grid;
    auto table = (isUplink ? m_uplink : m_downlink).table;
    const auto& precoder = direction.adaptation.GetReport(slot).precoder; // as old as the report
    auto prbs = grid.CountPrbs(sent.allocation);
    const auto* interferenceMw = FindInterferenceMw(link.device, isUplink, slot);
    auto noiseMw = m_channel->GetNoiseMw(isUplink);
    m_gains.clear();
    grid.ForEach(sent.allocation, [&](uint32_t, uint32_t begin, uint32_t end) {
        m_channel->AddGains(link.device, isUplink, precoder, begin, end, m_gains);
        if (interferenceMw)
        {
            auto gain = m_gains.end() - (end - begin);
            for (auto prb = begin; prb < end; prb++)
            {
                Lower(*gain++, noiseMw / (noiseMw + (*interferenceMw)[prb]));
            }
        }
    });
    m_sinr.clear();
    AddSinr(m_gains, sent.psdMw, process.layers, 0, prbs, m_sinr);
    auto sinrDb = m_errors->GetEffectiveSinrDb(table, process.mcs, m_sinr.data(), m_sinr.size());
    auto elements = prbs * GetElements(isUplink, slot);
    process.elements = process.transmissions == 0 ? elements : process.elements;
    process.parts[process.transmissions] = static_cast<double>(elements) / process.elements;
    process.sinrDb[process.transmissions++] = sinrDb;
    auto bler = m_errors->GetCombinedBler(table,
                                          process.mcs,
                                          process.bits,
                                          process.sinrDb.data(),
                                          process.parts.data(),
                                          process.transmissions,
                                          m_isIncremental);
    process.isDecoded = direction.draw->GetValue() >= bler;
    NoteSent(link, isUplink, sent.process, slot);
    auto& count = direction.count;
    count.blocks++;
    count.prbs += prbs;
    count.airJ += 1e-3 * sent.psdMw * prbs * GetAirS(isUplink, slot);
    if (process.transmissions == 1)
    {
        count.firstBlocks++;
        count.firstErrors += process.isDecoded ? 0 : 1;
        count.firstBlers += bler;
    }
    m_blockTrace({slot,
                  link.device,
                  isUplink,
                  process.transmissions,
                  process.mcs,
                  process.layers,
                  prbs,
                  process.bits,
                  sinrDb,
                  bler,
                  process.isDecoded});
    if (process.isDecoded)
    {
        count.bytes += process.bits / 8;
        m_arrivals.push_back({link.device, std::move(process.content)});
        process.content = {};
    }
}

const std::vector<double>*
NrCell::FindInterferenceMw(uint32_t device, bool isUplink, int64_t slot)
{
    if (m_cells)
    {
        return &m_cells->GetInterferenceMw(device, isUplink, slot);
    }
    return m_neighbours ? &m_neighbours->GetInterferenceMw(device, isUplink, slot / m_frame.GetParts()) : nullptr;
}

const std::vector<NrPrbGain>&
NrCell::GetMeasured(uint32_t device, bool isUplink, int64_t slot)
{
    const auto& gains = isUplink ? m_channel->GetUplink(device) : m_channel->GetDownlink(device);
    if (!m_neighbours && !m_cells)
    {
        return gains;
    }
    m_measured = gains;
    auto noiseMw = m_channel->GetNoiseMw(isUplink);
    auto interferenceMw = m_cells ? m_cells->GetMeanInterferenceMw(device, isUplink)
                                  : m_neighbours->GetMeanInterferenceMw(device, isUplink, slot / m_frame.GetParts());
    auto kept = noiseMw / (noiseMw + interferenceMw);
    for (auto& gain : m_measured)
    {
        Lower(gain, kept);
    }
    return m_measured;
}

} // namespace ns3::cosim
