// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_NR_SITE_ELEMENT_H
#define COSIM_NR_SITE_ELEMENT_H

#include "nr-panel.h"

#include "ns3/antenna-model.h"

#include <array>

namespace ns3::cosim
{

/**
 * The antenna element of a gNB that is a site of three sectors with one scheduler for all: in each direction, what the
 * sector that is best for it has there. The sectors' elements are those of TR 38.901 table 7.3-1.
 */
class NrSiteElement : public AntennaModel
{
  public:
    NrSiteElement();
    static TypeId GetTypeId();
    double GetGainDb(Angles angles) override;

  protected:
    void DoDispose() override;

  private:
    void SetDowntilt(double degrees);

    std::array<NrPanel, SITE_SECTORS> m_panels;
    Ptr<AntennaModel> m_element;
};

} // namespace ns3::cosim

#endif
