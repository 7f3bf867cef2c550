import pytest

from jgc.pack import Cost, aggregate, linear, total


def test_totals_by_hand():
    layers = [linear(10, 6, 4, density=0.25, bits_w=4, bits_x=8), aggregate(30, 4, bits_x=8)]
    # linear: 10*6*4 = 240 dense, 10*6 = 60 kept, 60*4*8 = 1920; aggregate: 30*4 = 120, 120*32*8.
    assert total(layers) == Cost(macs_dense=360, macs=180, bops=1920 + 30720)


def test_a_float_network_has_1024_bops_a_mac():
    cost = total([linear(2708, 1433, 16)])
    assert cost.macs == cost.macs_dense == 2708 * 1433 * 16
    assert cost.bops == 1024 * cost.macs


def test_nothing_costs_nothing():
    assert total([]) == Cost(0, 0, 0)
    assert total([linear(5, 4, 3, density=0.0)]).bops == 0


@pytest.mark.parametrize("density", [-0.1, 1.2, float("nan")])
def test_density_outside_its_range(density):
    with pytest.raises(ValueError, match=r"`density` is a fraction in \[0, 1\]"):
        linear(5, 4, 3, density=density)
