# SPDX-License-Identifier: GPL-2.0-only
"""An LTE cell with neighbours, in a process that has ns-3, and what its receivers heard while they received data."""

from functools import cache
from typing import Any

from msgspec import Struct

from bridge.network import LinkState, Transfer
from ns3_scenarios.wheel import loader
from tests.support.still import open_still

MS = 1_000_000
SUBFRAMES = 60
Place = tuple[float, float, float]
LISTENER = """
#include "ns3/lte-chunk-processor.h"
#include "ns3/lte-enb-net-device.h"
#include "ns3/lte-enb-phy.h"
#include "ns3/lte-spectrum-phy.h"
#include "ns3/lte-ue-net-device.h"
#include "ns3/lte-ue-phy.h"
#include "ns3/node-list.h"
#include "ns3/simulator.h"

namespace lte_around
{

struct Listener
{
    std::vector<int64_t> subframes;
    std::vector<std::vector<double>> heard;

    void Take(const ns3::SpectrumValue& value)
    {
        subframes.push_back(ns3::Simulator::Now().GetNanoSeconds() / 1000000);
        heard.emplace_back(value.ConstValuesBegin(), value.ConstValuesEnd());
    }

    void ListenTo(ns3::Ptr<ns3::LteSpectrumPhy> phy)
    {
        auto processor = ns3::Create<ns3::LteChunkProcessor>();
        processor->AddCallback(ns3::MakeCallback(&Listener::Take, this));
        phy->AddInterferenceDataChunkProcessor(processor);
    }

    /// The first device that there is of either kind.
    void Begin(bool isUplink)
    {
        for (auto node = ns3::NodeList::Begin(); node != ns3::NodeList::End(); ++node)
        {
            for (uint32_t i = 0; i < (*node)->GetNDevices(); i++)
            {
                auto enb = ns3::DynamicCast<ns3::LteEnbNetDevice>((*node)->GetDevice(i));
                auto ue = ns3::DynamicCast<ns3::LteUeNetDevice>((*node)->GetDevice(i));
                if (isUplink ? !!enb : !!ue)
                {
                    return ListenTo(isUplink ? enb->GetPhy()->GetUplinkSpectrumPhy()
                                             : ue->GetPhy()->GetDownlinkSpectrumPhy());
                }
            }
        }
    }
};

} // namespace lte_around
"""


class Met(Struct, frozen=True):
    """`users`: where those of all sectors are, sector by sector. `said_mw`: of each resource block by subframe, as the
    neighbours have it. `heard_w_per_hz`: what the receiver had beside the data that was its own, noise and all."""

    links: tuple[LinkState, ...]
    users: list[Place]
    said_mw: dict[int, list[float]]
    heard_w_per_hz: dict[int, list[float]]


def met(is_uplink: bool, parameters: dict[str, Any]) -> Met:
    """Have every device receive and send for a while, and listen at the BS, or at the first device."""
    network = open_still("lte", parameters, 1)
    try:
        listener = _cppyy().gbl.lte_around.Listener()
        listener.Begin(is_uplink)
        begin = network.now_ns
        sizes = (1, 0, 10_000_000) if is_uplink else (10_000_000, 0, 1)
        asked = [Transfer(i, *sizes) for i in range(len(network.info.devices))]
        outcome = network.exchange(asked, begin, begin + SUBFRAMES * MS)
        _, sites = network._topology.keep[3]
        sectors = 3 * parameters["neighbours"]["sites"]
        places = [sites.GetUserPosition(i, user) for i in range(sectors) for user in range(10)]
        heard = {
            int(subframe): list(listener.heard[i])
            for i, subframe in enumerate(listener.subframes)
            if subframe * MS >= begin
        }
        said = {subframe: list(sites.GetInterferenceMw(0, is_uplink, subframe)) for subframe in heard}
        return Met(outcome.links, [(at.x, at.y, at.z) for at in places], said, heard)
    finally:
        network.close()


@cache
def _cppyy() -> Any:
    """With what listens."""
    loader.load(("lte",))
    import cppyy

    cppyy.cppdef(LISTENER)
    return cppyy
