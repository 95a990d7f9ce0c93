// SPDX-License-Identifier: GPL-2.0-only
#include "nr-cell.h"

#include "ns3/boolean.h"
#include "ns3/double.h"
#include "ns3/string.h"
#include "ns3/trace-source-accessor.h"
#include "ns3/uinteger.h"

namespace ns3::cosim
{

NS_OBJECT_ENSURE_REGISTERED(NrCell);

TypeId
NrCell::GetTypeId()
{
    static TypeId tid =
        TypeId("ns3::cosim::NrCell")
            .SetParent<Object>()
            .SetGroupName("Cosim")
            .AddConstructor<NrCell>()
            .AddAttribute("Numerology",
                          "Subcarrier spacing is 15 kHz * 2^this (TS 38.211 table 4.2-1).",
                          UintegerValue(1),
                          MakeUintegerAccessor(&NrCell::m_numerology),
                          MakeUintegerChecker<uint32_t>(0, 3))
            .AddAttribute("Pattern",
                          "Slots, repeated: D downlink, S special, U uplink; or F for FDD.",
                          StringValue("DDDSU"),
                          MakeStringAccessor(&NrCell::m_pattern),
                          MakeStringChecker())
            .AddAttribute("SpecialDownlinkSymbols",
                          "Symbols for the downlink at the beginning of a special slot.",
                          UintegerValue(10),
                          MakeUintegerAccessor(&NrCell::m_specialDownlinkSymbols),
                          MakeUintegerChecker<uint32_t>(0, 14))
            .AddAttribute("SpecialUplinkSymbols",
                          "Symbols for the uplink at the end of a special slot.",
                          UintegerValue(2),
                          MakeUintegerAccessor(&NrCell::m_specialUplinkSymbols),
                          MakeUintegerChecker<uint32_t>(0, 14))
            .AddAttribute("SpecialPuschSymbols",
                          "Of those, from the first on, with data and their DM-RS: 0, or 2 and more.",
                          UintegerValue(0),
                          MakeUintegerAccessor(&NrCell::m_specialPuschSymbols),
                          MakeUintegerChecker<uint32_t>(0, 14))
            .AddAttribute("UnitSymbols",
                          "Symbols that are scheduled together: 14, a slot, or 7, a mini-slot.",
                          UintegerValue(NrFrame::SYMBOLS),
                          MakeUintegerAccessor(&NrCell::m_unitSymbols),
                          MakeUintegerChecker<uint32_t>(NrFrame::HALF, NrFrame::SYMBOLS))
            .AddAttribute("PdcchSymbols",
                          "Symbols for control at the beginning of each slot with downlink.",
                          UintegerValue(2),
                          MakeUintegerAccessor(&NrCell::m_pdcchSymbols),
                          MakeUintegerChecker<uint32_t>(1, 3))
            .AddAttribute("PucchSymbols",
                          "Symbols for control at the end of each slot with uplink.",
                          UintegerValue(1),
                          MakeUintegerAccessor(&NrCell::m_pucchSymbols),
                          MakeUintegerChecker<uint32_t>(1, 4))
            .AddAttribute("Prbs",
                          "Physical resource blocks of the carrier.",
                          UintegerValue(273),
                          MakeUintegerAccessor(&NrCell::m_prbs),
                          MakeUintegerChecker<uint32_t>(1, 275))
            .AddAttribute("Overhead",
                          "Resource elements of each PRB and slot for other signals, xOverhead of TS 38.214.",
                          UintegerValue(0),
                          MakeUintegerAccessor(&NrCell::m_overhead),
                          MakeUintegerChecker<uint32_t>(0, 18))
            .AddAttribute("GnbPower",
                          "Transmit power (dBm) of the gNB, even over all PRBs, used or not.",
                          DoubleValue(40),
                          MakeDoubleAccessor(&NrCell::m_gnbPowerDbm),
                          MakeDoubleChecker<double>())
            .AddAttribute("DevicePower",
                          "Highest transmit power (dBm) of a device, which it spreads over the PRBs in use.",
                          DoubleValue(23),
                          MakeDoubleAccessor(&NrCell::m_devicePowerDbm),
                          MakeDoubleChecker<double>())
            .AddAttribute("NominalPower",
                          "P0 of uplink power control (dBm in a PRB of 15 kHz), TS 38.213 clause 7.1.1.",
                          DoubleValue(-80),
                          MakeDoubleAccessor(&NrCell::m_nominalPowerDbm),
                          MakeDoubleChecker<double>(-202, 24))
            .AddAttribute("PathLossFactor",
                          "alpha of uplink power control.",
                          DoubleValue(1),
                          MakeDoubleAccessor(&NrCell::m_pathLossFactor),
                          MakeDoubleChecker<double>(0, 1))
            .AddAttribute(
                "McsTable",
                "Of TS 38.214: 1 to 64QAM (table 5.1.3.1-1), 2 to 256QAM (-2), 3 to 64QAM for low rates (-3).",
                UintegerValue(2),
                MakeUintegerAccessor(&NrCell::m_mcsTableIndex),
                MakeUintegerChecker<uint32_t>(1, 3))
            .AddAttribute(
                "IncrementalRedundancy",
                "Whether retransmissions bring other bits of the code, or else the same ones (chase combining).",
                BooleanValue(true),
                MakeBooleanAccessor(&NrCell::m_isIncremental),
                MakeBooleanChecker())
            .AddAttribute("MostTransmissions",
                          "Transmissions of a block after which HARQ gives it up.",
                          UintegerValue(4),
                          MakeUintegerAccessor(&NrCell::m_mostTransmissions),
                          MakeUintegerChecker<uint32_t>(1, MOST_TRANSMISSIONS))
            .AddAttribute("ReportPeriod",
                          "Slots between two reports of the channel, down (CQI) and up (SRS).",
                          UintegerValue(20),
                          MakeUintegerAccessor(&NrCell::m_reportPeriod),
                          MakeUintegerChecker<uint32_t>(1))
            .AddAttribute("ReportDelay",
                          "Slots between measuring the channel and the first slot that is scheduled by it.",
                          UintegerValue(4),
                          MakeUintegerAccessor(&NrCell::m_reportDelay),
                          MakeUintegerChecker<uint32_t>())
            .AddAttribute("TargetBler",
                          "Block error rate of first transmissions that link adaptation aims at.",
                          DoubleValue(0.01),
                          MakeDoubleAccessor(&NrCell::SetTargetBler, &NrCell::GetTargetBler),
                          MakeDoubleChecker<double>(0.001, 0.5))
            .AddAttribute("OuterLoopStep",
                          "By how much (dB) the outer loop lowers what it expects of a link when a block fails.",
                          DoubleValue(0.25),
                          MakeDoubleAccessor(&NrCell::SetStepDb, &NrCell::GetStepDb),
                          MakeDoubleChecker<double>(0))
            .AddAttribute("RequestGrantBytes",
                          "What a device is granted that has sent a scheduling request and no buffer status yet.",
                          UintegerValue(256),
                          MakeUintegerAccessor(&NrCell::m_requestGrantBytes),
                          MakeUintegerChecker<uint32_t>(16))
            .AddAttribute("ConfiguredGrantPrbs",
                          "PRBs of every uplink slot that each device may use without asking (TS 38.321 clause 5.8.2).",
                          UintegerValue(0),
                          MakeUintegerAccessor(&NrCell::m_configuredPrbs),
                          MakeUintegerChecker<uint32_t>())
            .AddAttribute("Acknowledged",
                          "RLC in acknowledged mode, or else in unacknowledged mode.",
                          BooleanValue(true),
                          MakeBooleanAccessor(&NrCell::m_isAcknowledged),
                          MakeBooleanChecker())
            .AddAttribute("BufferBytes",
                          "What may wait at each end of each device's bearer.",
                          UintegerValue(64'000'000),
                          MakeUintegerAccessor(&NrCell::m_bufferBytes),
                          MakeUintegerChecker<uint64_t>())
            .AddAttribute(
                "Reordering",
                "How long a missing packet is waited for in unacknowledged mode, and with status PDUs; in the "
                "latter case 0 is for ever.",
                TimeValue(MilliSeconds(100)),
                MakeTimeAccessor(&NrCell::m_reordering),
                MakeTimeChecker(Time()))
            .AddAttribute("StatusTimer",
                          "How long after its last transmission a device with data asks again (retxBSR-Timer).",
                          TimeValue(MilliSeconds(10)),
                          MakeTimeAccessor(&NrCell::m_statusTimer),
                          MakeTimeChecker(Time()))
            .AddAttribute("Scheduler",
                          "pf: proportional fair, or rr: round robin.",
                          StringValue("pf"),
                          MakeStringAccessor(&NrCell::m_schedulerName),
                          MakeStringChecker())
            .AddTraceSource("Block",
                            "A transport block is sent.",
                            MakeTraceSourceAccessor(&NrCell::m_blockTrace),
                            "ns3::cosim::NrBlockTrace")
            .AddTraceSource("Connection",
                            "A device is released, or on the way to its connection.",
                            MakeTraceSourceAccessor(&NrCell::m_connectionTrace),
                            "ns3::cosim::NrConnectionTrace");
    return tid;
}

void
NrCell::SetQosFlows(const NrQosSettings& settings)
{
    m_qosFlows = NrQosFlows(settings);
}

void
NrCell::SetTargetBler(double target)
{
    for (auto settings : {&m_downlink, &m_uplink})
    {
        settings->targetBler = target;
        if (settings->errors)
        {
            NrLinkAdaptation::SetMcsThresholds(*settings);
        }
    }
}

double
NrCell::GetTargetBler() const
{
    return m_downlink.targetBler;
}

void
NrCell::SetStepDb(double stepDb)
{
    m_downlink.stepDb = m_uplink.stepDb = stepDb;
}

double
NrCell::GetStepDb() const
{
    return m_downlink.stepDb;
}

} // namespace ns3::cosim
