// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_SITE_ELEMENT_H
#define COSIM_SITE_ELEMENT_H

#include "panel.h"

#include "ns3/antenna-model.h"

#include <array>
#include <cstdint>

namespace ns3::cosim
{

/**
 * The antenna element of a BS that is a site of three sectors with one scheduler for all: in each direction, what the
 * sector that is best for it has there.
 */
class SiteElement : public AntennaModel
{
  public:
    SiteElement();
    static TypeId GetTypeId();
    double GetGainDb(Angles angles) override;

    /// The sectors' panels, if each has so many rows and columns.
    std::array<Panel, SITE_SECTORS> MakePanels(uint32_t rows, uint32_t columns) const;

    /// What one element of a sector's panel has in the direction of `way`.
    double GetSectorGainDb(uint32_t sector, const Vector& way) const;

  protected:
    void DoDispose() override;

  private:
    void SetDowntilt(double degrees);

    double m_downtiltDegrees{0};
    std::array<Panel, SITE_SECTORS> m_panels;
    Ptr<AntennaModel> m_element;
};

} // namespace ns3::cosim

#endif
