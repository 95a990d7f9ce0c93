// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_COURSE_H
#define COSIM_COURSE_H

#include "ns3/mobility-model.h"
#include "ns3/nstime.h"
#include "ns3/vector.h"

namespace ns3::cosim
{

/**
 * Where a mobility model is, without asking it: ns-3's models move on by a step, and round, each time that they are
 * asked, so that another question would change what comes. They tell of each change of course.
 */
class Course
{
  public:
    /// Follow a model that has not moved yet at this instant.
    explicit Course(Ptr<MobilityModel> model);
    ~Course();
    Course(const Course&) = delete;
    Course& operator=(const Course&) = delete;

    /// A stand-in for the model that is where the model is now.
    Ptr<MobilityModel> GetPlace() const;

  private:
    void HandleChange(Ptr<const MobilityModel> model);

    Ptr<MobilityModel> m_model;
    Ptr<MobilityModel> m_place;
    Time m_since;
    Vector m_position;
    Vector m_velocity;
};

} // namespace ns3::cosim

#endif
