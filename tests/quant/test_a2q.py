"""A2Q: grids of nodes by hand, gradients against the paper's table, groups, penalty, storage."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jgc import pack
from jgc.quant import Groups, Learned, Place, Quant, a2q, average_bits, bits_by_degree
from jgc.quant.learned import in_groups, narrow, nearest, on_grids, per_node, whole_bits

PARAMS = {"kernel": jnp.ones((3, 2))}
quantised = jax.jit(on_grids, static_argnames="train")


def grids(step, bits, signed=False, kind=per_node) -> Learned:
    """Grids that have seen a batch already."""
    state = kind(len(step), 1, 4)._replace(step=jnp.array(step), bits=jnp.array(bits))
    return state._replace(signed=jnp.array(signed), count=jnp.int32(1))


def test_rounding_by_hand():
    # Widths 1, 2 and 3 (3.4), nothing negative: codes end at 1, 3 and 7; halves round to even.
    state = grids([2.0, 2.0, 0.5], [1.0, 2.0, 3.4])
    x = jnp.array([[0.9, 1.0, 3.0, 9.0], [5.0, 3.0, 9.0, -1.0], [1.3, 3.5, 3.9, 0.0]])
    y, _ = quantised(state, x, None, train=False)
    assert y.tolist() == [[0, 0, 2, 2], [4, 4, 6, 0], [1.5, 3.5, 3.5, 0]]
    # A sign takes a bit: codes -1..1 at 1 (held at 2) and 2 bits, -3..3 at 3.
    y, _ = quantised(state._replace(signed=jnp.array(True)), x, None, train=False)
    assert y.tolist() == [[0, 0, 2, 2], [2, 2, 2, 0], [1.5, 1.5, 1.5, 0]]


def test_the_first_batch_clips_nothing_and_leaves_room_to_grow():
    x = jnp.array([[0.0, 30.0], [7.5, 1.0], [0.0, 0.0]])
    y, state = quantised(per_node(3, 2, 4), x, None, train=True)
    # 4 bits end at 15; the empty node is given 1/32 of the largest.
    np.testing.assert_allclose(state.step, [2.0, 0.5, 30 / 32 / 15])
    assert y.tolist() == [[0, 30], [7.5, 1.0], [0, 0]]
    assert not bool(state.signed) and int(state.count) == 1
    _, state = quantised(state, -x, None, train=True)
    np.testing.assert_allclose(state.step, [2.0, 0.5, 30 / 32 / 15])
    assert bool(state.signed) and int(state.count) == 2
    _, state = quantised(per_node(3, 2, 4), -x, None, train=True)
    np.testing.assert_allclose(state.step, [30 / 7, 7.5 / 7, 30 / 32 / 7], rtol=1e-6)


def reference(x, step, bits, signed):
    """The table of derivatives by x, s and b, one value at a time; also the rounded value."""
    whole = min(max(round(bits), 1 + signed), 8)
    q = 2 ** (whole - signed) - 1
    code = round(x / step)
    if -q * signed <= code <= q:
        return code * step, 1.0, (code * step - x) / step, 0.0
    end = math.copysign(q if signed or x > 0 else 0, x)
    grown = math.copysign(q + 1, x) * math.log(2) * step if end else 0.0
    return end * step, 0.0, end, grown


def random_case(signed, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(6, 5)).astype(np.float32) * np.array([[0.2, 0.5, 1, 2, 4, 8]], "f4").T
    x = x if signed else np.abs(x)
    return x, rng.uniform(0.2, 0.9, 6).astype(np.float32), np.array([1, 2, 2.4, 3, 4, 5.5])


@pytest.mark.parametrize("signed", [False, True])
def test_gradients_of_groups_are_the_papers(signed):
    x, step, bits = random_case(signed)
    pull = np.random.default_rng(1).normal(size=x.shape).astype(np.float32)
    state = grids(step, bits, signed, in_groups)
    group = np.asarray(nearest(state, np.abs(x).max(1)))
    assert len(set(group)) > 2

    def total(x, step, bits):
        y, _ = on_grids(state._replace(step=step, bits=bits), x, None, True)
        return (y * pull).sum()

    found = jax.jit(jax.grad(total, (0, 1, 2)))(x, jnp.array(step), jnp.array(bits))
    expected = np.zeros_like(x), np.zeros(6), np.zeros(6)
    for i, j in np.ndindex(x.shape):
        g = group[i]
        _, by_x, by_s, by_b = reference(float(x[i, j]), float(step[g]), float(bits[g]), signed)
        expected[0][i, j] = pull[i, j] * by_x
        expected[1][g] += pull[i, j] * by_s
        expected[2][g] += pull[i, j] * by_b
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("signed", [False, True])
def test_gradients_of_nodes_are_those_of_their_own_error(signed):
    x, step, bits = random_case(signed)
    real = np.arange(6) < 5

    def parts(x, step, bits):
        y, seen = on_grids(grids(step, bits, signed), x, real, True)
        return y.sum(), seen.error

    by = jax.jit(jax.jacobian(parts, (0, 1, 2)))(x, jnp.array(step), jnp.array(bits))
    task, own = by
    expected = np.zeros((3, *x.shape))
    for i, j in np.ndindex(x.shape):
        y, by_x, by_s, by_b = reference(float(x[i, j]), float(step[i]), float(bits[i]), signed)
        sign = np.sign(y - x[i, j]) * real[i] / 5  # a mean over the 5 values of a node
        expected[:, i, j] = by_x, sign * by_s, sign * by_b
    np.testing.assert_array_equal(task[0], expected[0])
    assert not np.any(task[1]) and not np.any(task[2]) and not np.any(own[0])
    np.testing.assert_allclose(own[1], expected[1].sum(1), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(own[2], expected[2].sum(1), rtol=1e-4, atol=1e-6)


def test_the_nearest_group_is_the_nearest_of_all():
    rng = np.random.default_rng(0)
    step, bits = rng.uniform(0.01, 2, 64).astype(np.float32), rng.uniform(1, 6, 64)
    state = grids(step, bits, True, in_groups)
    largest = rng.exponential(5, 500).astype(np.float32)
    ends = (2.0 ** (np.asarray(whole_bits(state.bits, state.signed)) - 1) - 1) * step
    distances = np.abs(largest[:, None] - ends[None])
    found = distances[np.arange(500), np.asarray(nearest(state, largest))]
    np.testing.assert_allclose(found, distances.min(1), rtol=1e-5, atol=1e-6)


def test_groups_start_apart_and_count_who_joined():
    x = jnp.array([[1024.0], [900.0], [1.0], [50.0]])
    real = jnp.array([True, True, True, False])
    y, state = quantised(in_groups(3, 1, 4), x, real, train=True)  # ends 1024, 32, 1
    np.testing.assert_allclose(state.step * 15, [1024, 32, 1], rtol=1e-6)
    np.testing.assert_allclose(state.share, [2 / 3, 0, 1 / 3], rtol=1e-6)
    np.testing.assert_allclose(y[:3, 0], [1024, 1024 / 15 * 13, 1], rtol=1e-6)
    _, state = quantised(state, x, jnp.array([False, False, True, True]), train=True)
    # The newest batch weighs 0.01: half of it each in the last two groups.
    expected = [2 / 3 * 0.99, 0.005, 1 / 3 * 0.99 + 0.005]
    np.testing.assert_allclose(state.share, expected, rtol=1e-5)
    np.testing.assert_allclose(state.share.sum(), 1, rtol=1e-6)


def test_padding_changes_nothing():
    x = jnp.abs(jax.random.normal(jax.random.key(0), (4, 3)))
    padded = jnp.concatenate([x, jnp.full((3, 3), -1e6)])
    real = jnp.arange(7) < 4
    y, seen = quantised(per_node(4, 3, 3), x, None, train=True)
    z, seen_padded = quantised(per_node(7, 3, 3), padded, real, train=True)
    np.testing.assert_array_equal(z[:4], y)
    for name in ("step", "bits", "share"):
        np.testing.assert_array_equal(getattr(seen_padded, name)[:4], getattr(seen, name))
    for name in ("signed", "width", "error", "count"):
        np.testing.assert_array_equal(getattr(seen_padded, name), getattr(seen, name))
    assert seen_padded.share.tolist() == [1.0] * 4 + [0.0] * 3
    quantizer = a2q(target=1.0)

    def cost(bits, state):
        return quantizer.cost(Quant({}, {"update": state._replace(bits=bits)}))

    one, two = (jax.grad(cost)(s.bits, s) for s in (seen, seen_padded))
    np.testing.assert_allclose(two, [*one.tolist(), 0, 0, 0], rtol=1e-6)
    _, same = quantised(seen, x, jnp.zeros(4, bool), train=True)
    for a, b in zip(same, seen, strict=True):
        np.testing.assert_array_equal(a, b)


def test_relabelling_nodes_permutes():
    x, step, bits = random_case(False, seed=3)
    order = np.array([3, 0, 5, 1, 4, 2])

    def run(x, step, bits):
        y, seen = on_grids(grids(step, bits), x, None, True)
        return y, jax.grad(lambda s: on_grids(grids(s, bits), x, None, True)[1].error)(step)

    y, slope = jax.jit(run)(x, jnp.array(step), jnp.array(bits))
    z, slope_z = jax.jit(run)(x[order], jnp.array(step[order]), jnp.array(bits[order]))
    np.testing.assert_array_equal(z, y[order])
    np.testing.assert_allclose(slope_z, slope[order], rtol=1e-6)


def test_average_and_penalty_by_hand():
    # Site a: 3 nodes, one of them padding, 4 values each; site b: 2 groups, 1 value.
    a = grids([1.0] * 3, [1.6, 4.0, 8.0])._replace(
        share=jnp.array([1.0, 1.0, 0.0]), width=jnp.float32(4)
    )
    b = grids([1.0] * 2, [2.0, 0.0], True, in_groups)._replace(share=jnp.array([0.25, 0.75]))
    quant = Quant({}, {"a": a, "b": b, "message": None})
    # Whole: (4 (2 + 4) + (.25 2 + .75 2)) / (4 2 + 1): a signed width is at least 2.
    assert float(average_bits(quant)) == pytest.approx(26 / 9)
    # Smooth: (4 (1.6 + 4) + 2) / 9; n = 2 + 1 grids.
    excess = (4 * 5.6 + 2) / 9 - 2
    cost = a2q(target=2.0, strength=0.5).cost
    assert float(cost(quant)) == pytest.approx(0.5 * 3 * excess**2, rel=1e-5)
    erring = Quant({}, {"a": a._replace(error=jnp.float32(7.0)), "b": b})
    assert float(cost(erring)) == pytest.approx(7 + 0.5 * 3 * excess**2, rel=1e-5)
    assert float(a2q(target=3.0).cost(quant)) == 0.0
    by_bits = jax.grad(lambda w: cost(Quant({}, {"a": a._replace(bits=w), "b": b})))(a.bits)
    np.testing.assert_allclose(by_bits, np.array([4, 4, 0]) / 9 * 3 * excess, rtol=1e-5)


def test_bits_by_degree_by_hand():
    # Site a: 4 values a node, unsigned; b: one value, signed, so no fewer than 2 bits.
    a = grids([1.0] * 6, [1.0, 2.0, 3.0, 4.0, 5.0, 8.0])._replace(width=jnp.float32(4))
    b = grids([1.0] * 6, [1.0, 7.0, 3.0, 6.0, 8.0, 2.0], True)
    quant, in_degree = Quant({}, {"a": a, "message": None, "b": b}), np.array([0, 2, 9, 5, 8, 16])
    found = bits_by_degree(quant, in_degree)
    by_hand = {"0": 6 / 5, "2": 15 / 5, "5-8": (4 * 9 + 14) / 10, "9-16": (4 * 11 + 5) / 10}
    assert list(found) == list(by_hand) and found == pytest.approx(by_hand)
    n_node = {"0": 1, "2": 1, "5-8": 2, "9-16": 2}
    mean = sum(found[name] * n for name, n in n_node.items()) / 6
    assert mean == pytest.approx(float(average_bits(quant)))
    # Padding counts nowhere, not even in a range of its own.
    real = jnp.array([0.0, 1, 1, 1, 0, 1])
    padded = Quant({}, {"a": a._replace(share=real)})
    assert bits_by_degree(padded, in_degree) == {"2": 2.0, "5-8": 4.0, "9-16": 5.5}
    order = np.array([3, 1, 5, 0, 4, 2])
    moved = jax.tree.map(lambda leaf: leaf[order] if leaf.ndim else leaf, quant)
    assert bits_by_degree(moved, in_degree[order]) == pytest.approx(found)
    assert bits_by_degree(Quant({}, {}), in_degree) == {}


def test_bits_by_degree_needs_a_grid_a_node():
    state = per_node(4, 1, 4)
    with pytest.raises(ValueError, match="`in_degree` is of 3 nodes, but site 'a' has 4 learned"):
        bits_by_degree(Quant({}, {"a": state}), np.ones(3))
    with pytest.raises(ValueError, match="groups, or those of another graph"):
        bits_by_degree(Quant({}, {"a": in_groups(3, 1, 4)}), np.ones(3))


def test_features_of_nodes_are_learned_and_all_else_is_qat():
    node, edge = Place((5, 2), jnp.float32, True), Place((5, 2), jnp.float32)
    places = {
        "input": Place((9,), jnp.float32), "conv1/message": node, "conv1/aggregate": node,
        "update1": node, "update2": edge, "output": node,
    }  # fmt: skip
    quantizer = a2q(3)
    quant = quantizer.init(PARAMS, places)
    assert set(quant.sites) == {"conv1/message", "update1", "update2"}
    assert type(quant.sites["update1"]) is Learned
    assert float(quant.sites["update1"].bits[0]) == int(quant.sites["update2"].bits) == 3
    assert set(quantizer.rates(quant)) == {"sites/update1/step", "sites/update1/bits"}
    for site, x in (("input", jnp.ones(9) / 3), ("conv1/aggregate", jnp.ones((5, 2)) / 3)):
        y, after = quantizer.value(quant, site, x, None, None, True)
        assert y is x and after is quant
    batch = {"update1": node._replace(n_graph=2)}
    grouped = a2q(3, groups=7).init(PARAMS, batch).sites["update1"]
    assert type(grouped) is Groups and grouped.step.shape == (7,)


def test_groups_learn_more_slowly():
    quantizer = a2q(4, step_rate=0.09, bits_rate=0.05)
    for kind, step, bits in ((per_node, 1, 1), (in_groups, 1 / 30, 1 / 10)):
        state = kind(2, 1, 4)._replace(step=jnp.array([1.0, 3.0]))
        rates = quantizer.rates(Quant({}, {"update1": state}))
        expected = np.array([0.09, 0.27]) * step
        np.testing.assert_allclose(rates["sites/update1/step"], expected, rtol=1e-6)
        np.testing.assert_allclose(rates["sites/update1/bits"], 0.05 * bits, rtol=1e-6)


@pytest.mark.parametrize("kind", [per_node, in_groups])
def test_what_a_file_holds_evaluates_to_the_same_bits(kind, tmp_path):
    x = jax.random.normal(jax.random.key(0), (64, 3))
    _, state = quantised(kind(64, 3, 4), x, None, train=True)
    state = state._replace(bits=jax.random.uniform(jax.random.key(1), (64,), maxval=6.0))
    quantizer = a2q()
    quant = quantizer.init(PARAMS, {})._replace(sites={"update": state})
    stored = quantizer.stored(quant)
    file = tmp_path / "model.safetensors"
    held = pack.save(file, PARAMS, grids=quantizer.grids(quant, PARAMS), stats={"sites": stored})
    leaves = pack.load(file).stats["sites"]["update"]
    restored = type(state)(**{name: jnp.asarray(leaves[name]) for name in state._fields})
    assert restored.bits.dtype == jnp.uint8
    np.testing.assert_array_equal(restored.step, state.step)
    y, _ = quantised(state, x, None, train=False)
    z, _ = quantised(restored, x, None, train=False)
    np.testing.assert_array_equal(y, z)
    found = average_bits(Quant({}, {"update": restored}))
    np.testing.assert_allclose(found, average_bits(quant), rtol=1e-3)  # shares are float16
    assert held.n_bytes < pack.file_bytes(PARAMS, stats={"sites": quant.sites}) - 64
    assert narrow(state).bits.nbytes == 64


ERRORS = {
    r"`target` must be in \[1, 8\], got 0.5": lambda: a2q(target=0.5),
    r"`step_rate` must be in \[0, 0.15\], got 1": lambda: a2q(step_rate=1),
    r"`groups` must be in \[1, inf\], got 0": lambda: a2q(groups=0),
    r"`strength` must be in \[0, inf\], got -1": lambda: a2q(strength=-1),
    "`bits` counts stored bits": lambda: a2q(9),
    "`x` has 2 nodes, but there are learned grids for 3: those of another graph": lambda: on_grids(
        per_node(3, 1, 4), jnp.ones((2, 1)), None, False
    ),
    "`site` 'update' is not one that `init` saw": lambda: a2q().value(
        a2q().init(PARAMS, {}), "update", jnp.ones((2, 1)), None, None, True
    ),
}


@pytest.mark.parametrize("message", ERRORS)
def test_errors_name_the_argument(message):
    with pytest.raises(ValueError, match=message):
        ERRORS[message]()
