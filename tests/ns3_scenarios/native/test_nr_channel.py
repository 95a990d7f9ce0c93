# SPDX-License-Identifier: GPL-2.0-only
"""NR's channel against closed forms, and against the channel matrices of ns-3's own model."""

import math

import numpy as np
import pytest

from tests.support import nr_air

PLACE = (80.0, 0.0, 10.0)  # as high as the gNB
PRB_HZ = 12 * 30e3
SINGLE, FIRST, SECOND, CROSSED = range(4)


def flat(distance_m: float, noise_figure_db: float, elements: int) -> float:
    """Friis at 3.5 GHz, over -174 dBm/Hz and noise figure, with ideal beams."""
    loss_db = 20 * math.log10(4 * math.pi * 3.5e9 * distance_m / 299792458)
    return elements * 10 ** ((-loss_db + 174 - noise_figure_db - 10 * math.log10(PRB_HZ)) / 10)


@pytest.mark.parametrize("polarizations", [1, 2])
def test_without_fading_the_gain_is_path_loss_noise_and_arrays(ns3, polarizations):
    (((down, up),),) = ns3(nr_air.look, [PLACE], [0.0], gnb=(4, 8), device=(1, 2), polarizations=polarizations)
    assert down.shape == (273, 4)
    for found, noise_figure_db in ((down, 7), (up, 5)):
        assert found[:, SINGLE] == pytest.approx(flat(80, noise_figure_db, 64))
        layer = flat(80, noise_figure_db, 64) if polarizations == 2 else 0
        assert found[:, FIRST] == pytest.approx(layer)
        assert found[:, SECOND] == pytest.approx(layer)
        assert (found[:, CROSSED] == 0).all()


@pytest.mark.parametrize("sight", ["Always", "Never"])
@pytest.mark.parametrize("scenario", ["UMi-StreetCanyon", "UMa", "RMa", "InH-OfficeMixed"])
def test_a_single_antenna_sees_the_sum_over_ns3s_clusters(ns3, scenario, sight):
    gains, matrix, delays_s = ns3(nr_air.direct, PLACE, scenario, sight=sight)
    offsets_hz = (np.arange(273) - 136) * PRB_HZ
    response = (matrix[0, 0] * np.exp(-2j * np.pi * offsets_hz[:, None] * delays_s)).sum(axis=1)
    assert gains[:, SINGLE] == pytest.approx(abs(response) ** 2 * flat(80, 7, 1), rel=1e-9)
    assert gains[:, SINGLE].std() > 0.05 * gains[:, SINGLE].mean()


def test_two_polarizations_make_two_layers_of_the_same_matrix(ns3):
    gains, matrix, delays_s = ns3(nr_air.direct, PLACE, "UMi-StreetCanyon", sight="Never", polarizations=2)
    offsets_hz = (np.arange(273) - 136) * PRB_HZ
    h = np.einsum("usc,pc->pus", matrix, np.exp(-2j * np.pi * offsets_hz[:, None] * delays_s))
    scale = flat(80, 7, 1)
    precoders = np.array([[1, turn] for turn in (1, 1j, -1, -1j)]) / math.sqrt(2)
    received = abs(np.einsum("pus,ks->kpu", h, precoders)) ** 2 * scale
    best = received.sum(axis=(1, 2)).argmax()
    assert gains[:, SINGLE] == pytest.approx(received[best].sum(axis=1), rel=1e-9)
    pairs = []
    for turn in (1, 1j):
        layers = h @ (np.array([[1, 1], [turn, -turn]]) / math.sqrt(2)) * math.sqrt(scale)
        gram = np.einsum("puk,pul->pkl", layers.conj(), layers)
        pairs.append(np.column_stack([gram[:, 0, 0].real, gram[:, 1, 1].real, abs(gram[:, 0, 1]) ** 2]))
    chosen = min(pairs, key=lambda pair: pair[:, 2].sum())
    assert gains[:, FIRST:] == pytest.approx(chosen, rel=1e-7, abs=1e-9)


@pytest.mark.parametrize("polarizations", [1, 2])
def test_with_one_frequency_both_directions_are_the_same_channel(ns3, polarizations):
    """Up to the noise figures; with two polarizations precoders may differ, but neither sum nor determinant."""
    given = {"fading": "UMi-StreetCanyon", "sight": "Never", "gnb": (2, 4), "polarizations": polarizations}
    (((down, up),),) = ns3(nr_air.look, [PLACE], [0.0], **given)
    figures = 10 ** ((7 - 5) / 10)
    if polarizations == 1:
        assert up[:, SINGLE] == pytest.approx(figures * down[:, SINGLE])
    else:
        assert up[:, FIRST] + up[:, SECOND] == pytest.approx(figures * (down[:, FIRST] + down[:, SECOND]))
        volumes = [gain[:, FIRST] * gain[:, SECOND] - gain[:, CROSSED] for gain in (up, down)]
        assert volumes[0] == pytest.approx(figures**2 * volumes[1], rel=1e-6, abs=1e-6 * abs(volumes[0]).max())


def test_another_uplink_frequency_fades_otherwise(ns3):
    given = {"fading": "UMi-StreetCanyon", "sight": "Never", "attributes": {"UplinkFrequency": 3.4e9}}
    (((down, up),),) = ns3(nr_air.look, [PLACE], [0.0], **given)
    assert abs(np.corrcoef(down[:, SINGLE], up[:, SINGLE])[0, 1]) < 0.9


@pytest.mark.parametrize("sight", ["Always", "Never"])
def test_the_mean_power_of_fading_is_that_without(ns3, sight):
    places = [(60.0 + i % 7, float(i), 1.5) for i in range(300)]
    flat_gain = np.array([down[0, SINGLE] for down, _ in ns3(nr_air.look, places, [0.0])[0]])
    faded = np.array(
        [
            down[:, SINGLE].mean()
            for down, _ in ns3(nr_air.look, places, [0.0], fading="UMi-StreetCanyon", sight=sight)[0]
        ]
    )
    ratio = faded / flat_gain
    assert ratio.mean() == pytest.approx(1, abs=4 * ratio.std() / math.sqrt(len(places)))
    assert ratio.std() < 1


def test_the_beam_of_an_array_gains_what_it_has_in_elements(ns3):
    """In line of sight, nearly: other clusters cost some, and the grid of beams misses the direction a little."""
    places = [(90 * math.cos(turn), 90 * math.sin(turn), 10.0) for turn in np.linspace(-1.2, 1.2, 40)]
    given = {"fading": "UMi-StreetCanyon", "sight": "Always"}
    one = ns3(nr_air.look, places, [0.0], **given)[0]
    eight = ns3(nr_air.look, places, [0.0], gnb=(1, 8), **given)[0]
    means = [np.array([down[:, SINGLE].mean() for down, _ in found]) for found in (one, eight)]
    assert 8 * 0.6 < (means[1] / means[0]).mean() < 8.5


def test_what_stands_still_does_not_change_and_what_moves_does(ns3):
    given = {"fading": "UMi-StreetCanyon", "sight": "Never"}
    times_s = [0.0, 0.002, 0.05]
    still = [down for ((down, _),) in ns3(nr_air.look, [PLACE], times_s, **given)]
    assert (still[0] == still[1]).all()
    assert (still[0] == still[2]).all()
    moving = [down for ((down, _),) in ns3(nr_air.look, [PLACE], times_s, speeds=[(0.0, 10.0, 0.0)], **given)]
    change = [abs(later[:, SINGLE] / moving[0][:, SINGLE] - 1).mean() for later in moving[1:]]
    assert 0 < change[0] < change[1]  # 10 m/s at 3.5 GHz: 117 Hz, so that 2 ms are a quarter of a turn, 50 ms several


def test_one_device_is_nothing_to_another_and_the_same_seed_gives_the_same(ns3):
    given = {"fading": "UMa", "sight": "Never", "gnb": (2, 2), "polarizations": 2}
    places = [(50.0, 0.0, 1.5), (0.0, 70.0, 1.5)]
    first = ns3(nr_air.look, places, [0.0], **given)[0]
    again = ns3(nr_air.look, places, [0.0], **given)[0]
    other = ns3(nr_air.look, places, [0.0], 2, **given)[0]
    assert all((a == b).all() for one, two in zip(first, again, strict=True) for a, b in zip(one, two, strict=True))
    assert not (first[0][0] == other[0][0]).any()
    alone = ns3(nr_air.look, places[:1], [0.0], **given)[0]
    assert (alone[0][0] == first[0][0]).all()


def test_a_precoder_that_was_reported_ages_with_the_channel(ns3):
    """Of a moving device: whatever is chosen anew is better, and two layers have the same power in sum and volume."""
    given = {"fading": "UMi-StreetCanyon", "sight": "Never", "polarizations": 2, "speeds": [(0.0, 20.0, 0.0)]}
    is_stale = []
    for seed in range(1, 13):
        for each in ns3(nr_air.aging, PLACE, 0.1, seed, **given):
            turn, pair_turn = each["first"]
            assert each["aged"] == pytest.approx(
                np.column_stack([each["every"][turn][:, SINGLE], each["every"][pair_turn][:, FIRST:]]), rel=1e-9
            )
            powers = [gains[:, SINGLE].sum() for gains in each["every"]]
            assert each["best"][:, SINGLE].sum() == pytest.approx(max(powers))
            assert powers[0] + powers[2] == pytest.approx(powers[1] + powers[3])  # of opposite turns
            assert powers[each["now"][0]] == max(powers)
            for gains in (each["aged"], each["best"]):
                assert gains[:, FIRST] + gains[:, SECOND] == pytest.approx(powers_of_both(each["every"]), rel=1e-9)
            is_stale.append(each["aged"][:, SINGLE].sum() < 0.99 * each["best"][:, SINGLE].sum())
    assert any(is_stale)


def powers_of_both(every: list[np.ndarray]) -> np.ndarray:
    """Of each PRB, over both layers: what one layer gets by two opposite turns together."""
    return every[0][:, SINGLE] + every[2][:, SINGLE]


# Four ports

BEAMS = [np.array([1, np.exp(2j * np.pi * beam / 8)]) for beam in range(8)]


def type_one(layers: int) -> list[np.ndarray]:
    """TS 38.214 tables 5.2.2.2.1-5 to -8 with N1 = 2, N2 = 1, O1 = 4, codebook mode 1; columns of norm 1."""
    found = []
    for beam, phase in ((beam, phase) for beam in range(8) for phase in ((1, 1j, -1, -1j) if layers == 1 else (1, 1j))):
        own, other = BEAMS[beam], BEAMS[(beam + 4) % 8]
        columns = {
            1: [[(own, phase)]],
            2: [[(own, phase), (second, -phase)] for second in (own, other)],
            3: [[(own, phase), (other, phase), (own, -phase)]],
            4: [[(own, phase), (other, phase), (own, -phase), (other, -phase)]],
        }[layers]
        found += [np.array([np.concatenate([v, turn * v]) / 2 for v, turn in each]).T for each in columns]
    return found


def mmse(h: np.ndarray, precoder: np.ndarray, power: float) -> np.ndarray:
    """SINRs of each PRB and layer, where noise is 1: 1 / [(I + A)^-1]_kk - 1."""
    layers = precoder.shape[1]
    columns = math.sqrt(power / layers) * h @ precoder
    inverse = np.linalg.inv(np.eye(layers) + columns.conj().transpose(0, 2, 1) @ columns)
    return 1 / np.einsum("pkk->pk", inverse).real - 1


@pytest.mark.parametrize("layers", [1, 2, 3, 4])
def test_the_codebook_is_that_of_four_ports(ns3, layers):
    found, wanted = ns3(nr_air.codebook, layers), type_one(layers)
    assert len(found) == len(wanted) == {1: 32, 2: 32, 3: 16, 4: 16}[layers]
    for each in found:
        assert any(abs(each - other).max() < 1e-12 for other in wanted)
    assert all(abs(a - b).max() > 0.1 for i, a in enumerate(found) for b in found[:i])


@pytest.mark.parametrize("sight", ["Always", "Never"])
@pytest.mark.parametrize("psd_db", [-20, 0, 30])
def test_the_sinrs_of_up_to_four_layers_are_those_of_an_mmse_receiver(ns3, sight, psd_db):
    """Behind the precoder of each rank that carries most, over eight PRBs at 20 dB for one port on average."""
    prbs = 40
    found, matrix, delays_s = ns3(nr_air.many, PLACE, "UMi-StreetCanyon", 10 ** (psd_db / 10), prbs, sight=sight)
    offsets_hz = (np.arange(prbs) - (prbs - 1) / 2) * PRB_HZ
    down = np.einsum("usc,pc->pus", matrix, np.exp(-2j * np.pi * offsets_hz[:, None] * delays_s))
    samples = [(2 * i + 1) * prbs // 16 for i in range(8)]
    for h, noise_figure_db, link in zip((down, down.transpose(0, 2, 1)), (7, 5), found, strict=True):
        power = 10 ** (psd_db / 10) * flat(80, noise_figure_db, 1)
        mean = (abs(h[samples]) ** 2).sum(axis=1).mean()
        for layers, (precoder, sinrs) in enumerate(zip(link.precoders, link.sinrs, strict=True), 1):
            assert sinrs == pytest.approx(mmse(h, precoder, power), rel=1e-6, abs=1e-6)
            bits = [np.log2(1 + mmse(h[samples], each, 100 / mean)).sum() for each in (precoder, *type_one(layers))]
            assert bits[0] == pytest.approx(max(bits), rel=1e-6)
        assert link.gains[:, SINGLE] == pytest.approx(link.sinrs[0][:, 0] / 10 ** (psd_db / 10), rel=1e-9)


@pytest.mark.parametrize("device", [(1, 2), (2, 1)])
def test_halves_of_arrays_have_a_beam_each(ns3, device):
    """A device of one ray, nearly: one layer gets what the whole array gets, but for what grids of beams miss."""
    places = [(90 * math.cos(turn), 90 * math.sin(turn), 10.0) for turn in np.linspace(-1.2, 1.2, 20)]
    given = {"fading": "UMi-StreetCanyon", "sight": "Always", "gnb": (4, 4), "device": device, "polarizations": 2}
    means = []
    for rank in (2, 4):
        found = ns3(nr_air.look, places, [0.0], **given, attributes={"MaxRank": rank, "Prbs": 24})[0]
        means.append(np.array([gains[:, SINGLE].mean() for both in found for gains in both]))
    assert 0.9 < (means[1] / means[0]).mean() < 1.2
    assert (means[1] / means[0]).min() > 0.5


def test_without_fading_more_ports_give_no_more_layers(ns3):
    given = {"gnb": (4, 8), "device": (1, 2), "polarizations": 2}
    two, four = (ns3(nr_air.look, [PLACE], [0.0], **given, attributes={"MaxRank": rank})[0] for rank in (2, 4))
    assert all((a == b).all() for one, other in zip(two, four, strict=True) for a, b in zip(one, other, strict=True))
