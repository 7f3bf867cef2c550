"""Methods that pull weights before they prune, and those whose counts the weights decide."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jgc.prune import admm, group_lasso, lasso, one_shot, pq_index, sap, slr, window
from jgc.prune.structure import block, column

W = np.array([[1.0, -4.0, 3.0, 2.0]], np.float32)
Z = np.array([[0.0, -4.0, 3.0, 0.0]], np.float32)  # The nearest with half of the weights.


def tree(w):
    return {"kernel": jnp.asarray(w)}


def late(sparsity):
    return one_shot(sparsity, at=9)


def test_admm_by_hand():
    """Z = P(W + U), U += W - Z, and a penalty of rho / 2 |W - Z + U|^2."""
    prune = admm(0.5, rho=0.2, schedule=late)
    state, info = prune.update(prune.init(tree(W)), tree(W))
    assert float(info.target) == 0 and float(info.achieved) == 0
    assert float(prune.penalty(state, tree(W))) == pytest.approx(0.1 * (1 + 4))
    z, u = Z, np.zeros_like(W)
    for w in (W + 0.5, W + 1.0):
        state, _ = prune.update(state, tree(w))
        z = np.where(np.abs(w + u) >= np.sort(np.abs(w + u))[0, -2], w + u, 0)
        u = u + w - z
        np.testing.assert_allclose(state.memory.sparse["kernel"], z, rtol=1e-6)
        np.testing.assert_allclose(state.memory.duals["kernel"], u, rtol=1e-6)
        assert float(prune.penalty(state, tree(w))) == pytest.approx(
            0.1 * np.square(w - z + u).sum(), rel=1e-5
        )


def test_slr_by_hand():
    """Two moves of the multipliers in the second update, none where the surrogate is not lower."""
    rho, s = 0.1, 0.02
    prune = slr(0.5, rho=rho, size=s, schedule=late)
    state, _ = prune.update(prune.init(tree(W)), tree(W), mean_loss=2.0)
    w = W + np.array([[0.0, 0.0, 0.0, 1.5]], np.float32)  # Now 3.5 is among the two largest.
    state, _ = prune.update(state, tree(w), mean_loss=1.0)
    before = np.linalg.norm(W - Z)
    s1 = (1 - 1 / 200) * s * before / np.linalg.norm(w - Z)  # alpha of k = 1: k^p is 1
    duals = s1 * (w - Z)
    z = np.array([[0.0, -4.0, 0.0, 3.5]], np.float32) + np.where([[0, 1, 0, 1]], duals / rho, 0)
    s2 = (1 - 1 / (200 * 2 ** (1 - 2**-0.1))) * s1 * before / np.linalg.norm(w - z)
    moved = duals + s2 * (w - z)
    lower = (
        rho / 2 * np.square(w - z + duals / rho).sum()
        < rho / 2 * np.square(w - Z + duals / rho).sum()
    )
    assert lower
    np.testing.assert_allclose(state.memory.sparse["kernel"], z, rtol=1e-5)
    np.testing.assert_allclose(state.memory.duals["kernel"], moved, rtol=1e-4, atol=1e-6)
    assert float(state.memory.moves) == 3 and float(state.memory.size) == pytest.approx(
        s2, rel=1e-4
    )
    # A loss that leaps fails the first condition; the second does not look at it.
    calm, worse = (prune.update(state, tree(w), mean_loss=loss)[0] for loss in (0.5, 50.0))
    assert float(calm.memory.moves) == float(worse.memory.moves) + 1


@pytest.mark.parametrize("make", [slr, admm, lasso])
def test_the_pull_ends_where_pruning_begins(make):
    prune = make(0.5, schedule=lambda s: one_shot(s, at=2))
    step = jax.jit(lambda state: prune.update(state, tree(W), mean_loss=1.0))
    state, seen = prune.init(tree(W)), []
    for _ in range(4):
        state, info = step(state)
        seen.append((float(prune.penalty(state, tree(W))) > 0, float(info.target)))
    assert seen == [(True, 0.0)] * 2 + [(False, 0.5)] * 2
    assert state.masks["kernel"].tolist() == [[False, True, True, False]]


def test_group_lasso_prunes_the_shortest_neurons_of_all_layers():
    params = {
        "a": {"kernel": jnp.array([[3.0, 0.1, 1.0], [4.0, 0.1, 1.0]])},
        "b": {"kernel": jnp.array([[2.0, 0.2], [2.0, 0.2], [2.0, 0.2]])},
    }
    prune = group_lasso(0.4, schedule=lambda s: one_shot(s, at=0))
    masks = jax.jit(lambda p: prune.update(prune.init(p), p)[0].masks)(params)
    assert masks["a"]["kernel"][0].tolist() == [True, False, True]
    assert masks["b"]["kernel"][0].tolist() == [True, False]
    slopes = jax.grad(lambda p: prune.penalty(prune.init(p), p))(
        jax.tree.map(jnp.zeros_like, params)
    )
    assert all(not leaf.any() for leaf in jax.tree.leaves(slopes))  # No slope, and no NaN, at 0.


def test_columns_and_blocks_by_hand():
    values = jnp.arange(12.0).reshape(3, 4)
    assert column.units("kernel", values).tolist() == [[1.5, 5.5, 9.5]]
    assert column.spread("kernel", jnp.array([[True, False, True]]), (3, 4))[:, 0].tolist() == [
        True, False, True
    ]  # fmt: skip
    assert column.units("weight", values).tolist() == [[4.0, 5.0, 6.0, 7.0]]
    tiles = block(2, 3)
    assert tiles.units("kernel", values).tolist() == [[3.0, 5.0, 9.0, 11.0]]
    kept = tiles.spread("kernel", jnp.array([[True, False, False, True]]), (3, 4))
    assert kept.tolist() == [[True, True, True, False]] * 2 + [[False, False, False, True]]


def test_pq_index_by_its_definition():
    w = np.array([0.5, -2.0, 1.0, 0.25])
    by_hand = 1 - 4 ** (1 - 2) * (np.sqrt(np.abs(w)).sum() ** 2) / np.abs(w).sum()
    assert float(pq_index(jnp.array(w), jnp.ones(4, bool))) == pytest.approx(by_hand, rel=1e-5)
    assert float(pq_index(jnp.zeros(4), jnp.ones(4, bool))) == 0


def test_sap_prunes_by_the_index_and_stops_at_its_bound():
    w = np.array([[8.0, 4.0, 1.0, 0.5, 0.25, 0.1, 0.1, 0.1, 0.05, 0.01]], np.float32)
    index = 1 - np.sqrt(w).sum() ** 2 / (10 * w.sum())
    needed = np.ceil(10 * (1 - index) ** (0.5 / 0.5))
    left = 10 - np.floor(10 * np.clip(1 - needed / 10, 0, 0.9))
    prune = sap(schedule=lambda s: window(s, 0, 2))
    state, info = prune.update(prune.init(tree(w)), tree(w))
    assert int(state.masks["kernel"].sum()) == left < 10 and float(info.target) == 0
    assert state.masks["kernel"][0, : int(left)].all()
    again, _ = prune.update(state, tree(w))
    assert int(again.masks["kernel"].sum()) < left
    bound = sap(0.2, schedule=lambda s: window(s, 0, 2))
    assert int(bound.update(bound.init(tree(w)), tree(w))[0].masks["kernel"].sum()) == 8
    equal = tree(np.ones((1, 10), np.float32))
    assert prune.update(prune.init(equal), equal)[0].masks["kernel"].all()


def test_settings_out_of_range_are_errors():
    for make, message in (
        (lambda: slr(0.5), "`slr` needs `schedule`, for instance `lambda s: one_shot"),
        (lambda: slr(0.5, rho=0.0, schedule=late), "`rho` must be > 0, got 0.0"),
        (lambda: admm(0.5, structure="rows", schedule=late), "`structure` must be one of"),
        (lambda: admm(0.5, every=0, schedule=late), "`every` counts updates between moves"),
        (lambda: lasso(0.5, strength=-1.0, schedule=late), "`strength` of the penalty"),
        (lambda: sap(p=1.0, q=1.0, schedule=late), "`p` and `q` must be 0 < p < q"),
        (lambda: sap(beta=2.0, schedule=late), "`beta` in"),
        (lambda: block(0, 1), "`d_in` and `d_out` of a block"),
    ):
        with pytest.raises(ValueError, match=message):
            make()
