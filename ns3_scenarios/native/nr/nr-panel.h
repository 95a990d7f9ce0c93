// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_NR_PANEL_H
#define COSIM_NR_PANEL_H

#include "ns3/vector.h"

#include <array>
#include <cstdint>

namespace ns3::cosim
{

/// A panel of antenna elements half a wavelength apart, in rows and columns (TR 38.901 clause 7.3).
class NrPanel
{
  public:
    NrPanel() = default;

    /**
     * @param rows of elements of each polarization, the number in each column
     * @param columns likewise
     * @param bearing of what lies ahead, in rad from x towards y
     * @param downtilt by which it looks below the horizon, in rad
     */
    NrPanel(uint32_t rows, uint32_t columns, double bearing, double downtilt);

    /// A way (of any length above 0) as a direction seen from the panel, of length 1: x ahead, z up along a column.
    Vector GetDirection(const Vector& way) const;

    /// The way in the horizontal plane to so many m ahead and to the left.
    Vector GetWay(double ahead, double left) const;

    /**
     * Power gain, over one element's, in a direction `there` of the beam that is steered to `at`, whose weights have
     * norm 1: the array factor in closed form. Rows times columns in the beam's own direction, 1 on average.
     */
    double GetBeamGain(const Vector& at, const Vector& there) const;

  private:
    uint32_t m_rows{1};
    uint32_t m_columns{1};
    double m_bearing{0};
    Vector m_ahead{1, 0, 0};
    Vector m_left{0, 1, 0};
    Vector m_up{0, 0, 1};
};

inline constexpr uint32_t SITE_SECTORS = 3; // TR 38.901 table 7.8-1

/// The panels of a site: they look towards 30, 150 and 270 degrees from x towards y.
std::array<NrPanel, SITE_SECTORS> MakeSitePanels(uint32_t rows, uint32_t columns, double downtiltDegrees);

} // namespace ns3::cosim

#endif
