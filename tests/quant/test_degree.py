"""Degree-Quant: who is protected and how often, what that does to values and ranges, and where."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jgc.forward import apply, sites
from jgc.graph import from_edges, layout, pad
from jgc.models import GCN, GIN, GraphModel
from jgc.quant import Nodes, Place, degree, protection, qat

PARAMS = {"kernel": jnp.ones((2, 2))}


def nodes_of(in_degree, graph=None, mask=None) -> Nodes:
    in_degree = jnp.asarray(in_degree)
    graph = jnp.zeros_like(in_degree) if graph is None else jnp.asarray(graph)
    mask = jnp.ones(in_degree.shape, bool) if mask is None else jnp.asarray(mask)
    return Nodes(mask, graph, in_degree)


def started(quantizer, n=6, **places):
    places = places or {"message": Place((n, 2), jnp.float32, True)}
    return quantizer.init(PARAMS, places)


def test_protection_by_hand():
    # Degrees 3, 0, 1, 1, 7: F = 4/5, 1/5, 3/5, 3/5, 1 and p = .1 + .5 F.
    found = protection(nodes_of([3, 0, 1, 1, 7]), 0.1, 0.6)
    np.testing.assert_allclose(found, [0.5, 0.2, 0.4, 0.4, 0.6], rtol=1e-6)


def test_every_graph_of_a_batch_ranks_its_own_nodes():
    graph, in_degree = [0, 0, 0, 1, 1, 2, 2, 2], [9, 9, 1, 0, 5, 40, 0, 0]
    whole = protection(nodes_of(in_degree, graph), 0.0, 1.0)
    np.testing.assert_allclose(whole, [1, 1, 1 / 3, 1 / 2, 1, 1, 2 / 3, 2 / 3], rtol=1e-6)
    order = np.array([5, 0, 3, 7, 1, 2, 6, 4])
    shuffled = nodes_of(np.array(in_degree)[order], np.array(graph)[order])
    np.testing.assert_array_equal(protection(shuffled, 0.0, 1.0), whole[order])


def test_the_rate_is_the_probability_and_draws_are_independent():
    n, n_draw = 8, 4000
    nodes = nodes_of(np.arange(n))
    quantizer = degree(2, low=0.1, high=0.9)
    # 0.3 and 0.1 lie between the two values of 2 bits over [0, 1]: only the protected keep them.
    x = jnp.tile(jnp.array([[0.3, 0.1]]), (n, 1))
    quant = started(qat(2), n)
    quant = qat(2).value(quant, "message", jnp.array([[0.0, 1.0]] * n), None, None, True)[1]

    @jax.jit
    @jax.vmap
    def protected(key):
        one_pass = quantizer.on(nodes, key)
        return (one_pass.value(quant, "message", x, nodes.mask, None, True)[0] == x).all(1)

    drawn = np.asarray(protected(jax.random.split(jax.random.key(0), n_draw)))
    p = np.asarray(protection(nodes, 0.1, 0.9))
    assert (np.abs(drawn.mean(0) - p) < 5 * np.sqrt(p * (1 - p) / n_draw)).all()
    correlation = np.corrcoef(drawn.T) - np.eye(n)
    assert np.abs(correlation).max() < 5 / np.sqrt(n_draw)
    after = np.corrcoef(drawn[1:].T, drawn[:-1].T)[:n, n:]  # one pass says nothing of the next
    assert np.abs(after).max() < 5 / np.sqrt(n_draw)


@pytest.mark.parametrize("ranges", ["abs", "mom", "per", "per-sample"])
def test_protected_nodes_pass_whole_and_move_no_range(ranges):
    nodes = nodes_of([1, 1, 1, 1, 1, 1, 0], [0] * 6 + [1], [True] * 6 + [False])
    quantizer = degree(4, low=0.5, high=0.5, ranges=ranges)
    x = jnp.arange(14.0).reshape(7, 2) ** 2

    @jax.jit
    def run(mask, key):
        on = nodes._replace(mask=mask)
        return quantizer.on(on, key).value(started(quantizer), "message", x, mask, None, True)

    for seed in range(5):
        y, quant = run(nodes.mask, jax.random.key(seed))
        drawn = jax.random.uniform(jax.random.fold_in(jax.random.key(seed), 0x0DE9), (7,)) < 0.5
        protected = np.asarray(drawn & nodes.mask)
        rest = np.asarray(nodes.mask) & ~protected
        np.testing.assert_array_equal(y[protected], x[protected])
        seen = quant.sites["message"].range
        assert (float(seen.lo), float(seen.hi)) == (x[rest].min(), x[rest].max())
        alone, _ = qat(4, ranges="abs").value(started(qat(4)), "message", x[rest], None, None, True)
        np.testing.assert_array_equal(y[rest], alone)


def test_one_draw_serves_all_sites_of_nodes_and_no_others():
    nodes = nodes_of(np.arange(40))
    quantizer = degree(2, low=0.5, high=0.5)
    place = Place((40, 2), jnp.float32, True)
    quant = started(quantizer, a=place, b=place, edges=place, output=place)
    one_pass = quantizer.on(nodes, jax.random.key(1))
    x = jax.random.normal(jax.random.key(2), (40, 2))
    kept = {}
    for site in ("a", "b"):
        y, quant = one_pass.value(quant, site, x, nodes.mask, None, True)
        kept[site] = (y == x).all(1)
    np.testing.assert_array_equal(kept["a"], kept["b"])
    assert 5 < kept["a"].sum() < 35
    # As many edges as nodes, all of them real: still edges.
    y, after = one_pass.value(quant, "edges", x, jnp.ones(40, bool), None, True)
    plain, expected = qat(2, ranges="per").value(quant, "edges", x, None, None, True)
    np.testing.assert_array_equal(y, plain)
    assert float(after.sites["edges"].range.hi) == float(expected.sites["edges"].range.hi)
    logits, _ = one_pass.value(quant, "output", x, nodes.mask, None, True)
    np.testing.assert_array_equal(logits, x)


GRAPH = from_edges(
    [0, 1, 2, 3, 4, 0], [1, 2, 3, 4, 0, 2], undirected=True,
    nodes=np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32),
)  # fmt: skip


@functools.cache
def program(model, quantizer, train):
    """One training or evaluating pass: `(graph, layout, key) -> (out, quant)`."""
    params = model.init(jax.random.key(0), GRAPH)["params"]

    @jax.jit
    def run(graph, on, key):
        quant = quantizer.init(params, sites(model, params, graph, on))
        return apply(
            model, params, graph, None, quant, quantizer=quantizer, layout=on, train=train,
            rngs={"dropout": key},
        )  # fmt: skip

    return run


def passed(model, quantizer, graph, train, key=0):
    return program(model, quantizer, train)(graph, layout(graph, "segment"), jax.random.key(key))


SIX = list(itertools.product([True, False], ["abs", "mom", "per"]))


@pytest.mark.parametrize(("clip", "ranges"), SIX)
def test_evaluation_protects_nobody(clip, ranges):
    """All six options of the authors' code are those of `qat`."""
    settings = {"clip_gradient": clip, "ranges": ranges}
    x = jax.random.normal(jax.random.key(0), (6, 2))
    quant = started(qat(3))
    quant = qat(3).value(quant, "message", x / 2, None, None, True)[1]

    def run(quantizer):
        return jax.value_and_grad(
            lambda x: quantizer.value(quant, "message", x, nodes.mask, None, False)[0].sum()
        )(x)

    nodes = nodes_of(np.arange(6))
    found = run(degree(3, low=0.6, high=0.9, **settings).on(nodes, jax.random.key(0)))
    expected = run(qat(3, **settings))
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)
    assert bool((found[1] == 1).all()) != clip


@pytest.mark.parametrize("train", [False, True])
def test_a_model_in_training_differs_from_plain_and_evaluated_does_not(train):
    model = GCN(hidden=3, out=2, dropout=0.0)
    out, _ = passed(model, degree(3, low=0.6, high=0.9, ranges="mom"), GRAPH, train)
    plain, _ = passed(model, qat(3), GRAPH, train)
    assert bool((out == plain).all()) != train


def test_padding_changes_nothing():
    model = GraphModel(GIN(hidden=4, out=3, layers=2, batch_norm=False), out=2, dropout=0.0)
    quantizer = degree(4, low=0.3, high=0.9, ranges="abs")
    out, quant = passed(model, quantizer, GRAPH, True)
    padded, seen = passed(model, quantizer, pad(GRAPH, n_node=9, n_edge=40, n_graph=3), True)
    np.testing.assert_allclose(padded[:1], out, rtol=1e-5, atol=1e-6)
    for a, b in zip(jax.tree.leaves(quant), jax.tree.leaves(seen), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_keys_draw_differently():
    model = GCN(hidden=3, out=2, dropout=0.0)
    quantizer = degree(2, low=0.5, high=0.5, ranges="abs")
    outs = [passed(model, quantizer, GRAPH, True, key)[0] for key in (0, 0, 1)]
    np.testing.assert_array_equal(outs[0], outs[1])
    assert (outs[0] != outs[2]).any()


ERRORS = {
    "`low` and `high` are probabilities, 0 <= low <= high <= 1; got 0.5 and 0.1": lambda: degree(
        4, low=0.5, high=0.1
    ),
    "`degree` draws which nodes it protects: training needs a key": lambda: degree(4).on(
        nodes_of([1]), None
    ),
    "`bits` counts stored bits": lambda: degree(9),
}


@pytest.mark.parametrize("message", ERRORS)
def test_errors_name_the_argument(message):
    with pytest.raises(ValueError, match=message):
        ERRORS[message]()
