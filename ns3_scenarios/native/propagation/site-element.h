// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_SITE_ELEMENT_H
#define COSIM_SITE_ELEMENT_H

#include "panel.h"

#include "ns3/antenna-model.h"

#include <array>

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

  protected:
    void DoDispose() override;

  private:
    void SetDowntilt(double degrees);

    std::array<Panel, SITE_SECTORS> m_panels;
    Ptr<AntennaModel> m_element;
};

} // namespace ns3::cosim

#endif
