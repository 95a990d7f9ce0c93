# SPDX-License-Identifier: GPL-2.0-only
"""The scripts with a radio: each listing runs, walls cost what they should, and shares divide the band."""

import math
from pathlib import Path

import pytest

from bridge.network import NS_PER_S, LinkState, Outcome, Status, Transfer
from ns3_scenarios.simulation import open_network
from tests.support.listings import files, play
from tests.support.ns3_worker import Call, Played, Step
from tests.support.ns3_worker import play as exchanges

SCRIPTS = files("radios.md")
MB = Transfer(0, 1_000_000, 0, 1_000_000)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("scripts")
    for name, source in SCRIPTS.items():
        (folder / name).write_text(source)
    return folder


def one_by_one(ns3: Call, path: Path, parameters: dict[str, object]) -> Played:
    """1 MB each way with each of the four devices, alone on the network."""
    steps = [Step([Transfer(device, MB.downlink_bytes, 0, MB.uplink_bytes)]) for device in range(4)]
    played: Played = ns3(exchanges, steps, parameters, str(path))
    assert len(played.info.devices) == 4
    return played


def own_links(played: Played) -> list[LinkState]:
    return [outcome.links[device] for device, outcome in enumerate(played.outcomes)]


def downlinks_ns(played: Played) -> list[int]:
    transfers = [outcome.transfers[0] for outcome in played.outcomes]
    return [transfer.downlink_end_ns - transfer.downlink_begin_ns for transfer in transfers]


def test_every_listing_runs_and_says_what_stands_there(tmp_path):
    played = play("radios.md", tmp_path)
    assert played.files == ["street.py", "rooms.py", "hall.py", "hops.py", "band.py"]
    assert len(played.commands) == 9


@pytest.mark.parametrize("name", SCRIPTS)
def test_each_script_is_short(name):
    assert SCRIPTS[name].count("\n") < 70


# The losses that ns-3's manual gives, "Buildings module", section "External Wall Loss (EWL)".
@pytest.mark.parametrize(("walls", "loss_db"), [("Wood", 4), ("ConcreteWithWindows", 7), ("StoneBlocks", 12)])
def test_an_outer_wall_takes_its_loss_from_lte(ns3, folder, walls, loss_db):
    links = own_links(one_by_one(ns3, folder / "street.py", {"walls": walls}))
    for indoors, opposite in (links[:2], links[2:]):
        assert opposite.downlink_sinr_db - indoors.downlink_sinr_db == pytest.approx(loss_db, abs=0.01)


def test_behind_the_wall_lte_is_slower(ns3, folder):
    played = one_by_one(ns3, folder / "street.py", {"walls": "ConcreteWithoutWindows", "bs_power_dbm": 10})
    links = own_links(played)
    for near, far in ((0, 1), (2, 3)):
        assert links[near].downlink_mcs < links[far].downlink_mcs
        assert downlinks_ns(played)[near] > downlinks_ns(played)[far]


@pytest.mark.parametrize("loss_db", [0, 12])
def test_the_wall_between_two_rooms_takes_its_loss_from_wifi(ns3, folder, loss_db):
    played = one_by_one(ns3, folder / "rooms.py", {"wall_loss_db": loss_db})
    links, times_ns = own_links(played), downlinks_ns(played)
    for near, far in ((0, 1), (2, 3)):
        assert links[near].downlink_sinr_db - links[far].downlink_sinr_db == pytest.approx(loss_db, abs=0.01)
        assert (links[near].downlink_rate_bps > links[far].downlink_rate_bps) == (loss_db > 0)
        assert (times_ns[far] > 1.1 * times_ns[near]) == (loss_db > 0)
    # ITU-R P.1238 in a residential building: 28 dB a decade of distance, here 5 and 15 m.
    assert links[0].downlink_sinr_db - links[2].downlink_sinr_db == pytest.approx(28 * math.log10(3), abs=0.01)


def exchanged(scenario: str, shares: list[float]) -> Outcome:
    network = open_network(scenario, {"devices": 3, "band_bps": 10_000_000}, 1)
    transfers = [Transfer(device, 14_720, 0, 1472) for device in range(3)]
    outcome = network.exchange(transfers, 0, NS_PER_S, bandwidth_shares=shares)
    network.close()
    return outcome


def test_shares_divide_the_band_and_the_link_state_says_so(ns3, folder):
    shares = [0.5, 0.3, 0.2]
    outcome = ns3(exchanged, str(folder / "band.py"), shares)
    for share, transfer, link in zip(shares, outcome.transfers, outcome.links, strict=True):
        # 11 datagrams of 1472 bytes behind 30 bytes of headers (IPv4, UDP, PPP), no delay
        assert transfer.uplink_end_ns == pytest.approx(11 * 1502 * 8 / (share * 10e6) * NS_PER_S, abs=20)
        assert (link.downlink_rate_bps, link.uplink_rate_bps) == (share * 10e6, share * 10e6)


def ready_at(scenario: str, outputs: list[str], folder: str) -> tuple[int, Outcome]:
    network = open_network(scenario, {"devices": 2, "outputs": outputs}, 1, folder=folder)
    began_ns = network.now_ns
    outcome = network.exchange([Transfer(1, 3000, 0, 3000)], began_ns, began_ns + 10 * NS_PER_S)
    network.close()
    return began_ns, outcome


def test_an_ad_hoc_network_waits_for_its_routes_and_its_relay_is_recorded_by_name(ns3, folder, tmp_path):
    began_ns, outcome = ns3(ready_at, str(folder / "hops.py"), ["pcap", "queues"], str(tmp_path / "out"))
    # RFC 3626: HELLOs every 2 s tell neighbours, TC messages every 5 s the rest; three of each are ample.
    assert 2 * NS_PER_S < began_ns < 15 * NS_PER_S
    assert began_ns % 10_000_000 == 0
    assert outcome.transfers[0].status is Status.DONE
    names = ["edge-server", "hop2", "hop3", "relay"]
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert files == {f"{name}{end}" for name in names for end in (".pcap", "-if0.pcap", "-queues.txt")}
    # Each of the payloads passes the relay once each way, and is neither its own nor sent to it.
    assert (tmp_path / "out" / "relay.pcap").stat().st_size > 2 * 6000 // 1448 * 128
    last = (tmp_path / "out" / "relay-queues.txt").read_text().splitlines()[-1].split("\t")
    assert last[3:] == ["0", "0", "0"]


def test_the_halls_machines_see_the_nr_cell_fade_with_distance(ns3, folder):
    played: Played = ns3(exchanges, [Step([Transfer(2, 1000, 0, 1000)])], {}, str(folder / "hall.py"))
    near, middle, far = (link.downlink_sinr_db for link in played.outcomes[0].links)
    distances_m = [math.hypot(x, 8.0 - 1.5) for x in (10, 40, 160)]
    for (one_m, one_db), (other_m, other_db) in (
        ((distances_m[0], near), (distances_m[1], middle)),
        ((distances_m[1], middle), (distances_m[2], far)),
    ):
        assert one_db - other_db == pytest.approx(30 * math.log10(other_m / one_m), abs=0.1)
