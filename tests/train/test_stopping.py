"""Early stopping and freezing in the loop, on the tiny data sets."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jgc.train import (
    FreezeState,
    GradES,
    Method,
    Phase,
    Stopping,
    StopState,
    lane_program,
    problem,
    starts,
    train,
)
from jgc.train import lanes as lanes_module
from jgc.train.pruning import last_epochs
from jgc.train.stage import Rebuilt
from jgc.tree import named_leaves
from tests.train.cases import OPTIMISER, TABLE, all_close, lanes, pruner, qat

EPOCHS = 60
FIRST, SECOND = "linear1/kernel", "linear2/kernel"
FIRST_WIDTH = 9  # Features of the tiny nodes.
WATCH = Stopping(grades=GradES(0.0, grace=0.0))


@pytest.fixture(scope="module")
def run(programs):
    """`run(stopping, ...)`: the tiny MLP, trained; equal runs once."""
    del programs
    case, found = TABLE["dense mlp"], {}
    task = problem(case.data())

    def of(stopping=Stopping(), method=None, **given):  # noqa: B008 - immutable
        key = repr((stopping, method, given))
        method = method or Method("dense", (Phase(EPOCHS),))
        if key not in found or "folder" in given:
            found[key] = train(
                case.architecture, task, method, lanes(), optimiser=OPTIMISER, stopping=stopping,
                **given,
            )  # fmt: skip
        return found[key]

    return of


def same(a, b):
    alike = jax.tree.map(lambda x, y: np.array_equal(x, y, equal_nan=True), a, b)
    return jax.tree.all(alike)


def n_ran(state):
    return state.stop.ran.sum(1)


def test_patience_ends_a_lane_where_it_says(run):
    whole, stopped = run().state, run(Stopping(patience=6)).state
    ran = n_ran(stopped)
    assert len(set(ran.tolist())) > 1, "lanes should end at different epochs"
    for i, n in enumerate(ran):
        val = whole.val[i]
        # The first epoch that lies 6 behind the best so far.
        behind = [e - val[: e + 1].argmax() for e in range(EPOCHS)]
        assert n == min([behind.index(6) + 1] if 6 in behind else [EPOCHS])
        assert stopped.stop.ran[i, :n].all() and not stopped.stop.ran[i, n:].any()
        for name in ("loss", "val", "test"):
            history = getattr(stopped, name)[i]
            assert (history[:n] == getattr(whole, name)[i, :n]).all()
            assert np.isnan(history[n:]).all()
        assert stopped.best.epoch[i] == val[:n].argmax()


def test_watching_changes_nothing(run):
    """But for the rounding of another program."""
    whole, watched = run().state, run(WATCH).state
    all_close(whole._replace(freeze=None, stop=None), watched._replace(freeze=None, stop=None))
    assert (n_ran(watched) == EPOCHS).all()


class FirstOnly(GradES):
    """For this monitor the first matrix settles at once, and the second never."""

    def _measured(self, grad, previous):
        del previous
        return jnp.float32(grad.shape[0] != FIRST_WIDTH)


FREEZE = FirstOnly(0.5, grace=0.1)
AT = 6  # A tenth of 60 steps.


def test_a_frozen_matrix_never_moves_again(run):
    state = run(Stopping(grades=FREEZE)).state
    assert (state.freeze.frozen_at[FIRST] == AT).all()
    assert (state.freeze.frozen_at[SECOND] == -1).all() and (n_ran(state) == EPOCHS).all()
    shorter = run(Stopping(), Method("dense", (Phase(AT),))).state.model.params
    before, after = named_leaves(shorter), named_leaves(state.model.params)
    # As it was before the step at which it froze; Adam's momentum has not moved it.
    all_close(after[FIRST], before[FIRST])
    for name in ("linear1/bias", SECOND, "linear2/bias"):
        assert (after[name] != before[name]).all()
    assert np.isnan(state.freeze.change[FIRST][:, AT + 1 :]).all()


def test_a_rebuilt_program_trains_the_same(run):
    masked = run(Stopping(grades=FREEZE))
    rebuilt = run(Stopping(grades=FREEZE._replace(rebuilds=2)))
    assert masked.traces == 1 and rebuilt.traces == 2
    assert rebuilt.compile_s > masked.compile_s / 2 and rebuilt.run_s > 0
    old, new = (named_leaves(done.state.model.params) for done in (masked, rebuilt))
    assert (old[FIRST] == new[FIRST]).all()
    # Rounded otherwise from epoch 20 on.
    np.testing.assert_allclose(masked.state.loss, rebuilt.state.loss, rtol=0.02, atol=0.002)


def test_closed_matrices_have_no_gradient_in_the_program():
    case = TABLE["dense mlp"]
    task, method = problem(case.data()), Method("dense", (Phase(3),))

    def lines(closed):
        built = lane_program(case.architecture, task, method, OPTIMISER, WATCH, Rebuilt(closed))
        state = jax.eval_shape(built[0], lanes()[0], task.data)
        lowered = jax.jit(built[1]).lower(state, (lanes()[0], None), task.data, 0, 1)
        return len(lowered.as_text().splitlines())

    # The first epoch of a phase is no part of a rebuilt program; both have none here.
    none = lines(("no matrix",))
    assert lines((FIRST, SECOND)) < min(lines((FIRST,)), lines((SECOND,)))
    assert max(lines((FIRST,)), lines((SECOND,))) < none


@pytest.mark.parametrize("stopping", ["patience", "grades", "rebuilds"])
def test_neither_chunks_nor_a_kill_change_a_bit(run, stopping, tmp_path):
    stopping = {
        "patience": Stopping(patience=6),
        "grades": Stopping(grades=FREEZE),
        "rebuilds": Stopping(grades=FREEZE._replace(rebuilds=1)),
    }[stopping]
    whole = run(stopping).state
    assert same(run(stopping, chunk=7).state, whole)

    class Killed(Exception):
        pass

    def kill(done, _):
        if done >= 35:
            raise Killed

    try:
        run(stopping, chunk=7, folder=tmp_path, report=kill)
    except Killed:
        pass
    again = run(stopping, chunk=11, folder=tmp_path)
    assert same(again.state, whole)


def test_all_frozen_ends_the_run(run):
    epochs = []
    stopping = Stopping(grades=GradES(1e6, grace=0.25))
    done = run(stopping, chunk=4, report=lambda *said: epochs.append(said))
    assert (n_ran(done.state) == 16).all()  # Grace is 15 steps, and the epoch of the 16th is run.
    assert epochs[-1] == (EPOCHS, EPOCHS) and len(epochs) == 4
    assert all((at == 15).all() for at in done.state.freeze.frozen_at.values())


def test_batches_count_as_steps(programs):
    del programs
    case = TABLE["graphs"]
    task = problem(case.data(), batch_size=5)
    done = train(
        case.architecture, task, Method("dense", (Phase(8),)), lanes((0,)), optimiser=OPTIMISER,
        stopping=Stopping(grades=GradES(1e6, grace=0.5)),
    )  # fmt: skip
    assert task.steps > 1 and n_ran(done.state).tolist() == [5]


PHASES = (Phase(EPOCHS), Phase(30, prune=True), Phase(20, quantize=True))


def test_every_phase_stops_on_its_own(run):
    method = Method("global+qat", PHASES, pruner("global"), qat)
    stopping = Stopping(patience=6, grades=GradES(0.0))
    done = run(stopping, method)
    ran = done.state.stop.ran
    first, second, third = np.split(ran, [EPOCHS, EPOCHS + 30], axis=1)
    assert (first == run(Stopping(patience=6)).state.stop.ran).all()
    for part in (first, second, third):
        assert part[:, :7].all() and (part.sum(1) >= 7).all()
    assert (second.sum(1) < 30).any() and (done.state.best.epoch >= EPOCHS + 30).all()
    # What was measured in the first phase is still told in the last.
    changes = np.isfinite(done.state.freeze.change[FIRST])
    assert (changes == ran).all()
    assert same(run(stopping, method, chunk=3).state, done.state)


def test_a_dense_start_that_ended_early(run):
    stopping = Stopping(patience=6)
    dense = run(stopping).state
    method = Method("global", PHASES[:2], pruner("global"))
    begun = run(stopping, method, dense=starts(dense)).state
    assert same(begun.stop.ran, run(stopping, method).state.stop.ran)
    np.testing.assert_allclose(begun.loss, run(stopping, method).state.loss, rtol=1e-3, atol=1e-4)


def test_epochs_that_did_not_run_are_not_looked_back_on(run):
    """A pruner is told the loss of the last two epochs; a phase may have ended before its last."""
    one = jax.tree.map(lambda leaf: leaf[0], run(Stopping(patience=6)).state)
    last = int(one.stop.ran.sum()) - 1
    assert last < EPOCHS - 1 and last_epochs(one, jnp.int32(EPOCHS)).tolist() == [last, last - 1]
    whole = jax.tree.map(lambda leaf: leaf[0], run().state)
    assert last_epochs(whole, jnp.int32(EPOCHS)).tolist() == [EPOCHS - 1, EPOCHS - 2]


def test_lanes_in_one_batch_end_like_lanes_in_turn(run, monkeypatch):
    in_turn = run(Stopping(patience=6)).state
    monkeypatch.setattr(lanes_module, "in_turn", lambda mesh: False)
    case = TABLE["dense mlp"]
    batched = train(
        case.architecture, problem(case.data()), Method("dense", (Phase(EPOCHS),)), lanes(),
        optimiser=OPTIMISER, stopping=Stopping(patience=6),
    )  # fmt: skip
    assert same(batched.state.stop.ran, in_turn.stop.ran)


# Which programs are built, by hand: two matrices, two lanes, a phase that begins at epoch 100.


def closed(epoch, frozen_at, ended=(False, False), rebuilds=1, n_epoch=200):
    freeze = FreezeState(jnp.int32(0), {}, {n: np.array(a) for n, a in frozen_at.items()}, {})
    ran = np.arange(n_epoch) < np.array([[150], [130]])
    stop = StopState(jnp.int32(0), np.array(ended), ran)
    grades = GradES(0.1, rebuilds=rebuilds)
    return Stopping(grades=grades).closed(freeze, stop, 100, epoch)


@pytest.mark.parametrize(
    "given, expected",
    [
        ((100, {"a": [90, 90]}), ()),  # The phase before.
        ((139, {"a": [100, 119]}), ("a",)),
        ((119, {"a": [100, 110]}), ()),  # Not looked at yet.
        ((139, {"a": [100, 120]}), ()),  # Froze after the look at 120.
        ((140, {"a": [100, 120]}), ("a",)),
        ((199, {"a": [100, -1]}), ()),  # One lane still trains it.
        ((160, {"a": [101, 101], "b": [-1, -1]}), ("a",)),
        ((160, {"a": [101, 101], "b": [130, 130]}), ("a",)),  # One rebuild only.
        ((160, {"a": [101, 101], "b": [130, 130]}, (False, False), 2), ("a", "b")),
        ((160, {"a": [101, 101], "b": [119, 103]}), ("a", "b")),
        ((160, {"a": [101, 101]}, (False, False), 0), ()),
        ((160, {"a": [101, -1]}, (False, True)), ("a",)),  # That lane ended after epoch 129.
        ((139, {"a": [101, -1]}, (False, True)), ()),
    ],
)
def test_which_matrices_are_closed_out(given, expected):
    assert closed(*given) == expected


@pytest.mark.parametrize(
    "stopping, message",
    [
        (Stopping(patience=0), "`patience` must be >= 1 epoch, got 0"),
        (Stopping(grades=GradES(0.1, grace=-0.1)), r"`grace` is a share of all steps in \[0, 1\)"),
    ],
)
def test_bad_settings(run, stopping, message):
    with pytest.raises(ValueError, match=message):
        run(stopping)
