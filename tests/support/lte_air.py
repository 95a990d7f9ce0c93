# SPDX-License-Identifier: GPL-2.0-only
"""An LTE network in a process that has ns-3, and what was radiated in it, as ns-3 itself says by other ways."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from msgspec import Struct

from bridge.network import Outcome
from ns3_scenarios.wheel import loader
from tests.support.ns3_worker import Step, carry_out
from tests.support.still import open_still

LISTENER = """
#include "ns3/lte-enb-net-device.h"
#include "ns3/lte-enb-phy.h"
#include "ns3/lte-spectrum-phy.h"
#include "ns3/lte-spectrum-signal-parameters.h"
#include "ns3/lte-ue-net-device.h"
#include "ns3/lte-ue-phy.h"
#include "ns3/lte-ue-power-control.h"
#include "ns3/node-list.h"
#include "ns3/spectrum-channel.h"

namespace lte_air
{

/// Down all that eNBs send as data; up the power that power control gives, for each frame of data that a device sends.
struct Listener
{
    double downJ{0};
    double upJ{0};
    std::map<uint64_t, double> powersDbm;

    void TakeDown(ns3::Ptr<ns3::SpectrumSignalParameters> signal)
    {
        auto frame = ns3::DynamicCast<ns3::LteSpectrumSignalParametersDataFrame>(signal);
        if (frame && frame->packetBurst)
        {
            downJ += ns3::Integral(*frame->psd) * frame->duration.GetSeconds();
        }
    }

    void TakePower(uint64_t imsi, uint16_t, uint16_t, double dbm)
    {
        powersDbm[imsi] = dbm;
    }

    void TakeUp(uint64_t imsi, ns3::Ptr<const ns3::PacketBurst> burst)
    {
        if (burst)
        {
            upJ += std::pow(10, powersDbm[imsi] / 10) / 1000 * 13.0 / 14 / 1000; // all but the symbol for sounding
        }
    }

    void Begin()
    {
        for (auto node = ns3::NodeList::Begin(); node != ns3::NodeList::End(); ++node)
        {
            for (uint32_t i = 0; i < (*node)->GetNDevices(); i++)
            {
                if (auto enb = ns3::DynamicCast<ns3::LteEnbNetDevice>((*node)->GetDevice(i)))
                {
                    enb->GetPhy()->GetDownlinkSpectrumPhy()->GetChannel()->TraceConnectWithoutContext(
                        "TxSigParams", ns3::MakeCallback(&Listener::TakeDown, this));
                }
                if (auto ue = ns3::DynamicCast<ns3::LteUeNetDevice>((*node)->GetDevice(i)))
                {
                    ue->GetPhy()->GetUplinkPowerControl()->TraceConnectWithoutContext(
                        "ReportPuschTxPower", ns3::MakeCallback(&Listener::TakePower, this, ue->GetImsi()));
                    ue->GetPhy()->GetUplinkSpectrumPhy()->TraceConnectWithoutContext(
                        "TxStart", ns3::MakeCallback(&Listener::TakeUp, this, ue->GetImsi()));
                }
            }
        }
    }
};

} // namespace lte_air
"""


class Heard(Struct, frozen=True):
    """What came of the steps, and in each the joules that were radiated down and up on the data channels."""

    outcomes: list[Outcome]
    radiated_j: list[tuple[float, float]]


def heard(steps: Sequence[Step], parameters: dict[str, Any]) -> Heard:
    """Open an LTE network, carry out the steps, and close it."""
    network = open_still("lte", parameters, 1)
    try:
        listener = _listener()
        listener.Begin()
        found = Heard([], [])
        for step in steps:
            before = float(listener.downJ), float(listener.upJ)
            found.outcomes.append(carry_out(network, step))
            found.radiated_j.append((float(listener.downJ) - before[0], float(listener.upJ) - before[1]))
        return found
    finally:
        network.close()


@cache
def _compiled() -> Any:
    import cppyy

    loader.load(("lte",), ("lte-radio.h",))
    cppyy.cppdef(LISTENER)
    return cppyy.gbl.lte_air


def _listener() -> Any:
    return _compiled().Listener()
