// SPDX-License-Identifier: GPL-2.0-only
#include "device-life.h"

#include "battery.h"
#include "heat.h"

#include "ns3/integer.h"
#include "ns3/random-variable-stream.h"
#include "ns3/simulator.h"

#include <utility>

namespace ns3::cosim
{

NS_OBJECT_ENSURE_REGISTERED(DeviceLife);

DeviceLife::DeviceLife() = default;
DeviceLife::~DeviceLife() = default;

TypeId
DeviceLife::GetTypeId()
{
    static TypeId tid =
        TypeId("ns3::cosim::DeviceLife").SetParent<Object>().SetGroupName("Cosim").AddConstructor<DeviceLife>();
    return tid;
}

void
DeviceLife::SetSinks(Change absent, Change cut)
{
    m_absent.sink = [this, absent = std::move(absent)](bool on) {
        Enter(DevicePhase::IDLE);
        absent(on);
    };
    m_cut.sink = std::move(cut);
}

void
DeviceLife::AddAbsence(int64_t beginNs, int64_t endNs)
{
    Between(m_absent, beginNs, endNs);
}

void
DeviceLife::AddRandomAbsence(double meanPresentS, double meanAbsentS, int64_t stream)
{
    Alternate(m_absent, meanPresentS, meanAbsentS, stream);
}

void
DeviceLife::AddOutage(int64_t beginNs, int64_t endNs)
{
    Between(m_cut, beginNs, endNs);
}

void
DeviceLife::AddRandomOutage(double meanConnectedS, double meanCutS, int64_t stream)
{
    Alternate(m_cut, meanConnectedS, meanCutS, stream);
}

void
DeviceLife::SetBattery(double capacityJ, double idleW, double receivingW, double computingW, double transmittingW)
{
    Powers powersW{0, idleW, receivingW, computingW, transmittingW};
    m_battery = std::make_unique<Battery>(capacityJ, powersW, [this] { m_absent.Set(true); });
}

void
DeviceLife::SetHeat(double warmingS, double coolingS, double threshold, double slowest)
{
    m_heat = std::make_unique<Heat>(warmingS, coolingS, threshold, slowest);
}

bool
DeviceLife::IsPresent() const
{
    return m_absent.causes == 0;
}

void
DeviceLife::Enter(DevicePhase phase)
{
    phase = IsPresent() ? phase : DevicePhase::OFF;
    if (m_battery)
    {
        m_battery->Enter(phase);
    }
    if (m_heat)
    {
        m_heat->Enter(phase);
    }
}

int64_t
DeviceLife::GetComputeNs(int64_t fullSpeedNs) const
{
    return m_heat ? m_heat->GetComputeNs(fullSpeedNs) : fullSpeedNs;
}

void
DeviceLife::Condition::Set(bool on)
{
    bool was = causes > 0;
    causes += on ? 1 : -1;
    if (was != (causes > 0))
    {
        sink(on);
    }
}

void
DeviceLife::Between(Condition& condition, int64_t beginNs, int64_t endNs)
{
    auto at = [&condition](int64_t ns, bool on) {
        Simulator::Schedule(NanoSeconds(ns) - Simulator::Now(), [&condition, on] { condition.Set(on); });
    };
    at(beginNs, true);
    if (endNs >= 0)
    {
        at(endNs, false);
    }
}

void
DeviceLife::Alternate(Condition& condition, double meanOffS, double meanOnS, int64_t stream)
{
    // With its stream from the first: otherwise it would take one from all the streams that ns-3 numbers itself.
    auto draw = CreateObjectWithAttributes<ExponentialRandomVariable>("Stream", IntegerValue(stream));
    Turn(condition, meanOffS, meanOnS, draw, true);
}

void
DeviceLife::Turn(Condition& condition, double meanS, double otherMeanS, Ptr<ExponentialRandomVariable> draw, bool on)
{
    Simulator::Schedule(Seconds(draw->GetValue(meanS, 0)), [&condition, meanS, otherMeanS, draw, on] {
        condition.Set(on);
        Turn(condition, otherMeanS, meanS, draw, !on);
    });
}

} // namespace ns3::cosim
