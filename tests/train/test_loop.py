"""One table of methods, each compiled once; every duty reads the same runs."""

from typing import NamedTuple

import jax
import numpy as np
import optax
import pytest

from jgc.prune import sparsity_of
from jgc.train import Method, Phase, Trained, lane, problem, train
from jgc.train import lanes as lanes_module
from jgc.tree import is_kernel, named_leaves
from tests.train.cases import (
    CASES,
    LEVELS,
    OPTIMISER,
    TABLE,
    UNTRAINED,
    all_close,
    gradual,
    lanes,
    qat,
)

each_case = pytest.mark.parametrize("name", TABLE)
pruned = pytest.mark.parametrize("name", [case.name for case in CASES if case.prune])


def task_of(case):
    data = case.data()
    return problem(data, batch_size=5 if data.task == "graph" else None)


class Run(NamedTuple):
    done: Trained
    compilations: int

    @property
    def state(self):
        return self.done.state


@pytest.fixture(scope="module")
def runs(programs):
    """`runs(case, order, chunk)`: its lanes, trained."""
    problems, found = {}, {}

    def run(name, order=(0, 1, 2, 3), chunk=50) -> Run:
        case, before = TABLE[name], programs.compilations
        task = problems.setdefault(case.data, task_of(case))
        key = name, tuple(order), chunk
        if key not in found:
            done = train(
                case.architecture, task, case.method, lanes(order),
                optimiser=case.optimiser, chunk=chunk,
            )  # fmt: skip
            found[key] = Run(done, programs.compilations - before)
        return found[key]

    return run


def same_bits(a, b):
    a, b = (jax.tree.map(lambda leaf: np.asarray(leaf).tobytes(), tree) for tree in (a, b))
    return jax.tree.all(jax.tree.map(lambda x, y: x == y, a, b))


def lane_of(state, i):
    return jax.tree.map(lambda leaf: leaf[i], state)


@each_case
def test_one_trace_and_one_compilation_serve_all_lanes(runs, name):
    done, compilations = runs(name)
    assert done.traces == compilations == 1
    assert done.state.val.shape == (4, TABLE[name].method.epochs)
    assert np.isfinite(done.state.loss).all() and np.isfinite(done.state.val).all()


MIXED = (3, 4, 0, 0)


@each_case
def test_neither_company_nor_chunks_change_a_bit(runs, name):
    """In another order, beside other lanes, twice, epoch by epoch: the very same bits."""
    whole = runs(name).state
    mixed, compilations = runs(name, MIXED, chunk=1)
    assert compilations == 0  # The very same program.
    for place in (0, 2, 3):
        assert same_bits(lane_of(mixed.state, place), lane_of(whole, MIXED[place]))


def test_a_lane_alone_is_the_lane_in_company(runs):
    """On one device instead of two: another program, which may round otherwise."""
    alone, company = runs("global+qat", (3,), chunk=2).state, runs("global+qat").state
    all_close(lane_of(alone, 0), lane_of(company, 3))


@each_case
def test_seeds_and_splits_differ(runs, name):
    state, mixed = runs(name).state, runs(name, MIXED, chunk=1).state
    other_seed, other_split = lane_of(state, 1), lane_of(mixed, 1)
    for other in (other_seed, other_split):
        assert not same_bits(other.model.params, lane_of(state, 0).model.params)
        assert not same_bits(other.loss, state.loss[0])


@each_case
def test_levels_share_the_dense_start(runs, name):
    """Sparsity acts in pruning phases only; bits and penalties from the first step."""
    case = TABLE[name]
    first = case.phases[0]
    loss = runs(name).state.loss[:, : first.epochs]
    alike = [np.array_equal(loss[seed], loss[seed + 2]) for seed in range(2)]
    assert alike == [not (first.quantize or first.prune or case.l2)] * 2


UNIT = {"row": 1, "head": 2}  # Outputs that live and die together.


@pruned
def test_the_chosen_model_has_exactly_its_sparsity(runs, name):
    best = runs(name).state.best.model
    for i in range(4):
        sparsity = LEVELS[i // 2][0]
        masks, params = (named_leaves(lane_of(tree, i)) for tree in (best.masks, best.params))
        kernels = [n for n in masks if is_kernel(n, masks[n])]
        kept = {n: int(masks[n].sum()) for n in kernels}
        if name in UNIT:
            columns = [masks[n].any(0) for n in kernels]
            assert all((masks[n] == c).all() for n, c in zip(kernels, columns, strict=True))
            # A unit that is kept is kept whole; the last one may be short.
            units = [[c[i : i + UNIT[name]] for i in range(0, c.size, UNIT[name])] for c in columns]
            assert all(u.all() or not u.any() for of in units for u in of)
            expected = [round((1 - sparsity) * len(of)) for of in units]
            assert [sum(map(np.any, of)) for of in units] == expected
        elif name == "fine":
            assert kept == {n: round((1 - sparsity) * masks[n].size) for n in kernels}
        else:
            total = sum(masks[n].size for n in kernels)
            assert sum(kept.values()) == round((1 - sparsity) * total)
        for n in masks:
            assert (params[n][~masks[n]] == 0).all()
            assert n in kernels or masks[n].all()
            # What is kept lives: no weight of a trained kernel is 0 by itself, but for inputs
            # that no training node has.
            if n in kernels:
                assert (params[n][masks[n]] != 0).sum() >= 0.5 * kept[n]


@pruned
def test_the_last_model_holds_its_zeros_too(runs, name):
    """But where pruned weights go on being trained behind their masks."""
    model = runs(name).state.model
    zero = jax.tree.map(lambda p, m: (p[~m] == 0).all(), model.params, model.masks)
    assert jax.tree.all(zero) == (name != "movement")


# Epochs of the last phase that lie below the final sparsity.
UNSETTLED = {"gradual": 2, "movement": 2, "slr": 3}


@each_case
def test_the_best_epoch_is_the_first_best_of_the_last_phase(runs, name):
    case, state = TABLE[name], runs(name).state
    begin = case.method.epochs - case.phases[-1].epochs
    begin += UNSETTLED.get(name, 0)
    for i in range(4):
        val, test = state.val[i, begin:], state.test[i, begin:]
        best = lane_of(state.best, i)
        assert best.epoch == begin + val.argmax()
        assert best.val == val.max() and best.test == test[val.argmax()]
        assert best.oracle == test.max()


def test_below_the_final_sparsity_no_epoch_is_chosen(runs):
    """The dense epochs of a gradual plan score better here, and are still not taken."""
    state = runs("gradual").state
    assert (state.best.epoch >= 4).all()
    assert (state.prune.step == 5).all()
    np.testing.assert_allclose(
        jax.vmap(sparsity_of)(state.best.model.masks), [0.5, 0.5, 0.75, 0.75], atol=0.01
    )


def test_a_phase_starts_from_the_best_of_the_phase_before(runs):
    """With rate 0 nothing else happens to the weights: what is kept is what was best."""
    dense, state = runs("dense mlp").state, runs("frozen").state
    assert (dense.best.epoch < 2).any(), "some best epoch should not be the last"
    model = state.model
    masked = jax.tree.map(lambda m, p: np.where(m, p, 0), model.masks, dense.best.model.params)
    # The two programs round differently; a step of Adam moves every weight by about 0.05.
    for kept, best in zip(jax.tree.leaves(model.params), jax.tree.leaves(masked), strict=True):
        np.testing.assert_allclose(kept, best, atol=1e-5)
    assert (state.val[:, 3] == state.val[:, 4]).all()
    np.testing.assert_allclose(state.val[:, :3], dense.val, atol=1e-6)


def test_a_fresh_phase_draws_new_weights_under_the_same_masks(runs):
    before, state = runs("frozen").state, runs("scratch").state
    same = jax.tree.map(lambda a, b: (a == b).all(), before.model.masks, state.model.masks)
    assert jax.tree.all(same)
    # Three epochs of Adam move a weight by 0.15; new weights are up to 0.6 away.
    old, new = (named_leaves(s.model.params)["linear1/kernel"] for s in (before, state))
    assert (np.abs(old - new).reshape(4, -1).max(1) > 0.3).all()
    assert (state.best.epoch >= 4).all()


def test_a_rewound_phase_starts_from_the_first_weights(runs):
    """With the masks of the round: rates are 0 only in the epoch that prunes."""
    case, state = TABLE["ticket"], runs("ticket").state
    drawn = [case.architecture.init(_first_key(i % 2), case.data().graphs[0]) for i in range(4)]
    for i, variables in enumerate(drawn):
        params, masks = (
            named_leaves(lane_of(t, i)) for t in (state.model.params, state.model.masks)
        )
        first = named_leaves(variables["params"])["linear1/kernel"]
        last, mask = params["linear1/kernel"], masks["linear1/kernel"]
        # Three epochs of Adam at 0.05 move a weight by at most some 0.15.
        assert np.abs(last - first)[mask].max() < 0.2 and mask.any()


def _first_key(seed):
    return jax.random.split(jax.random.key(seed), 3)[0]


def test_the_penalty_of_a_lane_stands_in_for_weight_decay(runs):
    """Lanes of penalties 0.05 and 0.075 against a program whose weight decay is 0.05."""
    case, state = TABLE["l2"], runs("l2").state
    task = task_of(case)
    method, optimiser = case.method._replace(l2=False), OPTIMISER._replace(weight_decay=0.05)
    decayed = train(case.architecture, task, method, lanes(), optimiser=optimiser).state
    np.testing.assert_allclose(state.loss[:2], decayed.loss[:2], rtol=1e-5)
    assert (np.abs(state.loss[2:] - decayed.loss[2:])[:, 1:] > 1e-6).all()


@each_case
def test_every_phase_has_a_fresh_optimiser(runs, name):
    case, state = TABLE[name], runs(name).state
    steps = task_of(case).steps
    count = optax.tree_utils.tree_get(state.opt_state.params, "count")
    if case.phases[-1].rate == 0:
        assert (count == 0).all() and (state.loss[:, -1] == UNTRAINED).all()
        return
    assert (count <= case.phases[-1].epochs * steps).all()
    # A fold with fewer batches than the others skips the empty ones.
    assert (count > case.phases[-1].epochs * (steps - 2)).all() and (count > 0).all()


def test_lanes_in_one_batch_are_lanes_in_turn(runs, programs, monkeypatch):
    """The way of accelerators, `vmap`, on the CPU: other roundings, the same numbers."""
    in_turn = runs("graphs").state
    monkeypatch.setattr(lanes_module, "in_turn", lambda mesh: False)
    case, before = TABLE["graphs"], programs.compilations
    task = task_of(case)
    batched = train(case.architecture, task, case.method, lanes(), optimiser=OPTIMISER)
    assert programs.compilations == before + 1  # Another program, so it was not run in turn.
    first = case.phases[0].epochs
    np.testing.assert_allclose(batched.state.loss[:, :first], in_turn.loss[:, :first], rtol=1e-3)
    np.testing.assert_allclose(batched.state.loss, in_turn.loss, rtol=0.05)
    assert (jax.vmap(sparsity_of)(batched.state.best.model.masks) ==
            jax.vmap(sparsity_of)(in_turn.best.model.masks)).all()  # fmt: skip


# Errors.


@pytest.mark.parametrize(
    "phases, given, message",
    [
        ((), {}, "`phases` of 'm' is empty"),
        ((Phase(0),), {}, r"`phases\[0\].epochs` must be >= 1, got 0"),
        ((Phase(1, prune=True),), {}, "`prune=True` but no `pruner`"),
        ((Phase(1, quantize=True),), {}, "`quantize=True` but no `quantizer`"),
        ((Phase(1),), {"pruner": gradual}, "a `pruner` but no phase with `prune=True`"),
        ((Phase(1),), {"quantizer": qat}, "a `quantizer` but no phase with `quantize=True`"),
    ],
)
def test_a_method_that_cannot_run_is_an_error(phases, given, message):
    case = TABLE["dense mlp"]
    with pytest.raises(ValueError, match=message):
        method = Method("m", phases, **given)
        train(case.architecture, problem(case.data()), method, lanes())


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"lanes": []}, "`lanes` is empty"),
        ({"chunk": 0}, "`chunk` must be >= 1, got 0"),
        ({"lanes": [lane(0), lane(0, split=9)]}, r"must be in 0\.\.1, the splits .* got 9"),
    ],
)
def test_bad_arguments_of_train(changed, message):
    case = TABLE["dense mlp"]
    with pytest.raises(ValueError, match=message):
        train(
            case.architecture, problem(case.data()), case.method, **({"lanes": lanes()} | changed)
        )


@pytest.mark.parametrize(
    "seed, settings, message",
    [
        (-1, {}, "`seed` and `split` must be >= 0, got -1"),
        (0, {"split": -1}, "`seed` and `split` must be >= 0, got 0 and -1"),
        (0, {"sparsity": 1.2}, r"`sparsity` is a fraction in \[0, 1\], got 1.2"),
        (0, {"bits": 1}, "`bits` must be in 2..8, got 1"),
        (0, {"bits": 9}, "`bits` must be in 2..8, got 9"),
    ],
)
def test_bad_lanes(seed, settings, message):
    with pytest.raises(ValueError, match=message):
        lane(seed, **settings)


def test_progress_is_reported_after_every_chunk(runs):
    case, seen = TABLE["dense mlp"], []
    task = task_of(case)
    train(
        case.architecture, task, case.method, lanes(), optimiser=OPTIMISER, chunk=2,
        report=lambda *said: seen.append(said),
    )  # fmt: skip
    assert seen == [(2, 3), (3, 3)]
