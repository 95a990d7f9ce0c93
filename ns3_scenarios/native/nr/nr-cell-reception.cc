// SPDX-License-Identifier: GPL-2.0-only
// What comes of a block on the air, and what is measured there.
#include "nr-cell.h"
#include "nr-cells.h"

#include <algorithm>

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

template <size_t LAYERS>
void
Lower(NrGram<LAYERS>& gram, double kept)
{
    for (auto& norm : gram.norms)
    {
        norm *= kept;
    }
    for (auto& product : gram.products)
    {
        product.real *= kept;
        product.imaginary *= kept;
    }
}

void
Lower(NrManyGain& gain, double kept)
{
    Lower(gain.three, kept);
    Lower(gain.four, kept);
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
    bool isMany = process.layers > 2;
    m_gains.clear();
    m_manyGains.clear();
    grid.ForEach(sent.allocation, [&](uint32_t, uint32_t begin, uint32_t end) {
        auto first = m_gains.size();
        m_channel->AddGains(link.device, isUplink, precoder, begin, end, m_gains, isMany ? &m_manyGains : nullptr);
        for (auto i = first; interferenceMw && i < m_gains.size(); i++)
        {
            auto kept = noiseMw / (noiseMw + (*interferenceMw)[begin + i - first]);
            Lower(m_gains[i], kept);
            if (isMany)
            {
                Lower(m_manyGains[i], kept);
            }
        }
    });
    m_sinr.clear();
    if (isMany)
    {
        AddManySinr(m_manyGains, sent.psdMw, process.layers, m_sinr);
    }
    else
    {
        AddSinr(m_gains, sent.psdMw, process.layers, 0, prbs, m_sinr);
    }
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

void
NrCell::Measure(Link& link, bool isUplink, double psdMw, int64_t slot, int64_t from)
{
    auto device = link.device;
    const auto* gains = isUplink ? &m_channel->GetUplink(device) : &m_channel->GetDownlink(device);
    const auto* many = &m_channel->GetMany(device, isUplink);
    if (m_neighbours || m_cells)
    {
        auto noiseMw = m_channel->GetNoiseMw(isUplink);
        auto interferenceMw = m_cells
                                  ? m_cells->GetMeanInterferenceMw(device, isUplink)
                                  : m_neighbours->GetMeanInterferenceMw(device, isUplink, slot / m_frame.GetParts());
        auto lower = [kept = noiseMw / (noiseMw + interferenceMw)](const auto*& measured, auto& lowered) {
            lowered = *measured;
            std::for_each(lowered.begin(), lowered.end(), [kept](auto& gain) { Lower(gain, kept); });
            measured = &lowered;
        };
        lower(gains, m_measured);
        lower(many, m_measuredMany);
    }
    auto precoder = m_channel->GetPrecoder(device, isUplink);
    Get(link, isUplink).adaptation.Measure(*gains, psdMw, slot, from, precoder, *many);
}

} // namespace ns3::cosim
