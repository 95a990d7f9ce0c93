// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_SECTOR_ANTENNA_H
#define COSIM_SECTOR_ANTENNA_H

#include "panel.h"

#include "ns3/antenna-model.h"

#include <cstdint>

namespace ns3::cosim
{

/**
 * The antenna of a sector whose beam stands still: a column of elements of TR 38.901 table 7.3-1, half a wavelength
 * apart, in phase for a direction below the horizon (an electrical tilt), as in its calibration (table 7.8-1: ten
 * elements). It looks along x.
 */
class SectorAntenna : public AntennaModel
{
  public:
    SectorAntenna();
    static TypeId GetTypeId();
    double GetGainDb(Angles angles) override;

  protected:
    void DoDispose() override;

  private:
    void SetRows(uint32_t rows);
    void SetDowntilt(double degrees);

    Panel m_column;
    Vector m_beam;
    Ptr<AntennaModel> m_element;
};

} // namespace ns3::cosim

#endif
