"""Training on stored weights: the same training as on masked ones, and no gradient of the rest."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jgc import prune
from jgc.graph import structure
from jgc.models import GCN, MLP, for_task
from jgc.train import Method, Optimiser, Phase, lane, problem, train
from jgc.train.state import PruneLog
from jgc.train.stored import kept, rooms, storable
from tests.train.cases import tiny_nodes, tiny_rows

ADAM = Optimiser(learning_rate=0.05, weight_decay=5e-4)
MODEL = for_task(MLP(hidden=32, layers=3, dropout=0.0), "node", 1)


def rigl(stored):
    def moving(sparsity):
        return prune.window(sparsity, begin=0, end=5)

    def build(sparsity, key):
        return prune.rigl(sparsity, key=key, schedule=moving, every=2, budget="uniform")

    return Method("rigl", (Phase(6, prune=True),), build, stored=stored)


def fitted(method, chunk=50, **kwargs):
    lanes = [lane(0, sparsity=0.9), lane(1, split=1, sparsity=0.95)]
    task = problem(tiny_rows(), batch_size=16)
    return train(MODEL, task, method, lanes, optimiser=ADAM, chunk=chunk, **kwargs)


@pytest.mark.parametrize("shape, density", [((5, 3), 0.4), ((3, 5), 0.0), ((4, 4), 1.0)])
def test_places_are_those_of_the_mask_in_both_orders(shape, density):
    mask = np.random.default_rng(0).random(shape) < density
    n = int(mask.sum())
    found = jax.jit(kept, static_argnums=1)(jnp.asarray(mask), n + 2)
    outputs, inputs = np.nonzero(mask.T)
    exact = structure(outputs, inputs, n_row=shape[1], n_col=shape[0])
    np.testing.assert_array_equal(found.places[:n], inputs * shape[1] + outputs)
    np.testing.assert_array_equal(found.places[n:], mask.size)
    for name in ("rows", "cols", "t_rows", "t_cols", "t_order"):
        value = getattr(found.structure, name)
        np.testing.assert_array_equal(value[:n], getattr(exact, name), err_msg=name)
    for name in ("indptr", "t_indptr"):  # The padding lies in the last row and column.
        value = np.asarray(getattr(found.structure, name)).copy()
        value[-1] -= 2
        np.testing.assert_array_equal(value, getattr(exact, name), err_msg=name)


def test_the_training_is_that_of_masked_weights():
    masked, stored = fitted(rigl(False)), fitted(rigl(True))
    assert (masked.traces, stored.traces) == (1, 2)
    np.testing.assert_allclose(stored.state.loss, masked.state.loss, rtol=1e-4)
    old, new = (jax.tree.leaves(done.state.model) for done in (masked, stored))
    for a, b in zip(old, new, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(b, a, atol=1e-3)
    for params, masks in zip(
        jax.tree.leaves(stored.state.model.params), jax.tree.leaves(stored.state.model.masks),
        strict=True,
    ):  # fmt: skip
        assert (params[~masks] == 0).all()


def test_chunks_and_kills_change_no_bit(tmp_path):
    whole = fitted(rigl(True))

    def killed(epoch, of):
        if epoch >= 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fitted(rigl(True), chunk=3, folder=tmp_path, report=killed)
    resumed = fitted(rigl(True), chunk=2, folder=tmp_path)
    for a, b in zip(jax.tree.leaves(whole.state), jax.tree.leaves(resumed.state), strict=True):
        np.testing.assert_array_equal(a, b)


def test_only_linear_maps_of_arrays_are_stored_and_only_where_few_weights_are_kept():
    rows = storable(MODEL, problem(tiny_rows(), batch_size=16))
    assert rows == {"linear1/kernel": 128, "linear2/kernel": 1024, "linear3/kernel": 32}
    # The first layer of sparse features is a sparse product already.
    gcn = storable(for_task(GCN(hidden=8), "node", 3), problem(tiny_nodes()))
    assert gcn == {"conv2/linear/kernel": 24}
    log = PruneLog(
        {"a": np.array([[100, 12, 12], [100, 9, 9]]), "b": np.array([[100, 13, 13]] * 2)},
        np.zeros((2, 3)),
    )
    assert rooms({"a": 100, "b": 100}, log, begin=1, epoch=2) == (("a", 12),)
    assert rooms({"a": 100, "b": 100}, log, begin=1, epoch=1) == ()


def test_methods_that_look_at_every_gradient_are_refused():
    def movement(sparsity, key):
        del key
        return prune.movement(sparsity, schedule=lambda s: prune.cubic(s, 0, 4))

    with pytest.raises(ValueError, match="'movement' needs the gradient of every weight"):
        fitted(Method("movement", (Phase(6, prune=True),), movement, stored=True))
    with pytest.raises(ValueError, match="`stored` needs a pruner"):
        fitted(Method("dense", (Phase(2),), stored=True))
