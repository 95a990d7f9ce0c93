// SPDX-License-Identifier: GPL-2.0-only
#ifndef COSIM_NR_HELPER_H
#define COSIM_NR_HELPER_H

#include "neighbour-sites.h"
#include "nr-cell.h"
#include "nr-cells.h"
#include "nr-channel.h"
#include "nr-error-model.h"

#include "ns3/net-device-container.h"
#include "ns3/node-container.h"
#include "ns3/object-factory.h"

#include <string>
#include <vector>

namespace ns3::cosim
{

/// Makes an NR cell: its channel, and a net device on the gNB's node and on each device's, all of which have a place.
/// Or several cells (NrCells), whose gNBs have one net device together.
class NrHelper
{
  public:
    NrHelper();

    /// Of NrChannel, NrCell, and the arrays (UniformPlanarArray) of the gNB and of each device.
    void SetChannelAttribute(const std::string& name, const AttributeValue& value);
    void SetCellAttribute(const std::string& name, const AttributeValue& value);
    void SetGnbAntennaAttribute(const std::string& name, const AttributeValue& value);
    void SetDeviceAntennaAttribute(const std::string& name, const AttributeValue& value);

    /// Of the cell (NrCell::SetTiming).
    void SetTiming(const NrTimingSettings& settings);

    /// When acknowledged mode polls and reports, if it does.
    void SetArq(const NrArqSettings& settings);

    /// When connections are released, if they are.
    void SetConnection(const NrConnectionSettings& settings);

    /// When devices listen, if not always.
    void SetDrx(const NrDrxSettings& settings);

    /// Of the cells (NrCell::SetQosFlows).
    void SetQosFlows(const NrQosSettings& settings);

    /// Of the cell; it gets the cell's gNB and devices (NeighbourSites).
    void SetNeighbours(Ptr<NeighbourSites> neighbours);

    /// Make a cell. Returns the net devices, the gNB's first; once they have addresses, they carry IPv4.
    NetDeviceContainer Install(Ptr<Node> gnb, const NodeContainer& devices, Ptr<NrErrorModel> errors);

    /// Make a cell at each gNB. Returns the net devices, first that of `core`, the node behind all gNBs.
    NetDeviceContainer InstallCells(const NodeContainer& gnbs,
                                    Ptr<Node> core,
                                    const NodeContainer& devices,
                                    Ptr<NrErrorModel> errors);

    /// Make a secondary cell at the gNB of this cell, for all its devices (NrCell::SetSecondary). Its helper is one of
    /// its own.
    void InstallSecondary(Ptr<NrCell> primary, Ptr<Node> gnb, const NodeContainer& devices, Ptr<NrErrorModel> errors);

    /// What `Install` made.
    Ptr<NrCell> GetCell() const;

    /// What `InstallCells` made.
    Ptr<NrCells> GetCells() const;

    /// Fix the random streams of each cell and its channel. Returns how many these are.
    int64_t AssignStreams(int64_t stream);

  private:
    /// Make a channel and a cell, that of `primary` if there is one, and what interferes.
    void MakeCell(Ptr<Node> gnb, const NrCell::Deliver& deliver, Ptr<NrErrorModel> errors, Ptr<NrCell> primary);
    void AddDevice(Ptr<Node> device, const NrCell::Deliver& deliver);

    ObjectFactory m_channelFactory;
    ObjectFactory m_cellFactory;
    NrTimingSettings m_timing;
    NrArqSettings m_arq;
    NrConnectionSettings m_connection;
    NrDrxSettings m_drx;
    NrQosSettings m_qosFlows;
    Ptr<NeighbourSites> m_neighbours;
    ObjectFactory m_gnbAntenna;
    ObjectFactory m_deviceAntenna;
    std::vector<Ptr<NrChannel>> m_channels;
    std::vector<Ptr<NrCell>> m_made;
    Ptr<NrCells> m_cells;
};

} // namespace ns3::cosim

#endif
