// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_DEVICE_LIFE_H
#define COSIM_DEVICE_LIFE_H

#include "phase.h"

#include "ns3/object.h"

#include <cstdint>
#include <functional>
#include <memory>

namespace ns3
{
class ExponentialRandomVariable;
}

namespace ns3::cosim
{

class Battery;
class Heat;

/// What befalls one device: it is absent, or cut off, for given or random times, runs empty, or grows hot.
class DeviceLife : public Object
{
  public:
    DeviceLife();
    ~DeviceLife() override;
    static TypeId GetTypeId();

    /// Called at each instant at which the device becomes absent (true) or present, cut off (true) or not.
    using Change = std::function<void(bool)>;
    void SetSinks(Change absent, Change cut);

    /// Absent from one virtual time to another, or for good if `endNs` is negative.
    void AddAbsence(int64_t beginNs, int64_t endNs);
    /// Present and absent by turns, for exponentially distributed times, drawn from random stream `stream`.
    void AddRandomAbsence(double meanPresentS, double meanAbsentS, int64_t stream);

    /// As for absences: cut off.
    void AddOutage(int64_t beginNs, int64_t endNs);
    void AddRandomOutage(double meanConnectedS, double meanCutS, int64_t stream);

    /// Absent for good once this energy is used up.
    void SetBattery(double capacityJ, double idleW, double receivingW, double computingW, double transmittingW);

    /// As for the constructor of Heat.
    void SetHeat(double warmingS, double coolingS, double threshold, double slowest);

    bool IsPresent() const;

    /// The device begins another phase of a transfer; an absent one is off all the same.
    void Enter(DevicePhase phase);

    /// How long a computation of `fullSpeedNs` at full speed takes if it begins now.
    int64_t GetComputeNs(int64_t fullSpeedNs) const;

  private:
    /// True for as long as it has a cause.
    struct Condition
    {
        uint32_t causes{0};
        Change sink;
        void Set(bool on);
    };

    static void Between(Condition& condition, int64_t beginNs, int64_t endNs);
    static void Alternate(Condition& condition, double meanOffS, double meanOnS, int64_t stream);
    static void Turn(Condition& condition,
                     double meanS,
                     double otherMeanS,
                     Ptr<ExponentialRandomVariable> draw,
                     bool on);

    Condition m_absent;
    Condition m_cut;
    std::unique_ptr<Battery> m_battery;
    std::unique_ptr<Heat> m_heat;
};

} // namespace ns3::cosim

#endif
