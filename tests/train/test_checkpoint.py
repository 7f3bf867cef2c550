import gc
import signal
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jgc.train import Checkpoint, Optimiser, lane, problem, train
from jgc.train.checkpoint import fingerprint
from tests.train.cases import TABLE, lanes

ROOT = Path(__file__).parents[2]
CASE = "random"  # Its pruner carries a key, the most unusual state of all.


def shapes_of(state):
    return jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), state
    )


def small(value):
    return {"a": jnp.full(3, value), "b": {"c": jnp.array([value > 1])}}


def test_the_newest_state_comes_back_and_older_ones_go(tmp_path):
    kept = Checkpoint(tmp_path / "new" / "folder", "me")
    assert kept.restore(shapes_of(small(0.0))) == (None, 0)
    for epoch in (2, 4, 10):
        kept.save(small(float(epoch)), epoch)
    state, epoch = Checkpoint(kept.folder, "me").restore(shapes_of(small(0.0)))
    assert epoch == 10 and state["a"].tolist() == [10.0] * 3 and state["b"]["c"].all()
    assert {path.name for path in kept.folder.iterdir()} == {"10", "10.json"}
    kept.remove()
    assert not kept.folder.exists()


@pytest.mark.parametrize("what", ["save", "restore"])
def test_a_checkpoint_leaves_nothing_in_memory(tmp_path, what):
    Checkpoint(tmp_path, "me").save(small(1.0), 1)
    counts = []
    for times in (2, 4):
        for _ in range(times):
            kept = Checkpoint(tmp_path, "me")
            kept.save(small(1.0), 1) if what == "save" else kept.restore(shapes_of(small(0.0)))
        gc.collect()
        counts.append(len(gc.get_objects()))
    assert counts[1] - counts[0] < 24, counts  # With jax's arrays 24 objects stay each time.


def test_the_state_of_another_program_is_an_error(tmp_path):
    Checkpoint(tmp_path, ("gcn", 1)).save(small(1.0), 5)
    with pytest.raises(ValueError, match="holds a checkpoint of another model") as error:
        Checkpoint(tmp_path, ("gcn", 2)).restore(shapes_of(small(0.0)))
    assert str(tmp_path) in str(error.value)


@pytest.mark.parametrize("left", ["half a state", "half a note", "a temporary folder"])
def test_what_a_kill_left_half_written_is_ignored(tmp_path, left):
    kept = Checkpoint(tmp_path, "me")
    kept.save(small(3.0), 3)
    if left == "half a state":
        (tmp_path / "4").mkdir()
        (tmp_path / "4" / "manifest.ocdbt").write_bytes(b"ha")
    elif left == "half a note":
        (tmp_path / "4.note").write_text('{"iden')
    else:
        (tmp_path / "4.orbax-checkpoint-tmp-123").mkdir()
    again = Checkpoint(tmp_path, "me")
    state, epoch = again.restore(shapes_of(small(0.0)))
    assert epoch == 3 and state["a"].tolist() == [3.0] * 3
    again.save(small(4.0), 4)
    assert Checkpoint(tmp_path, "me").restore(shapes_of(small(0.0)))[1] == 4


def test_what_kills_left_goes_with_the_next_state(tmp_path):
    for name in ("1", "2.orbax-checkpoint-tmp", "mine"):
        (tmp_path / name).mkdir()
    (tmp_path / "7.note").write_text("half")
    Checkpoint(tmp_path, "me").save(small(3.0), 3)
    assert {path.name for path in tmp_path.iterdir()} == {"3", "3.json", "mine"}


@pytest.mark.parametrize("file", ["3.json", "3/_METADATA", "3/manifest.ocdbt"])
@pytest.mark.parametrize("data", [b"", b"[1]", b"{}", b"\xff" * 40], ids=range(4))
def test_a_damaged_checkpoint_is_named_and_never_loaded(tmp_path, file, data):
    state = {"a": jnp.ones(3)}  # Of two the second would fail late, in a later test.
    Checkpoint(tmp_path, "me").save(state, 3)
    (tmp_path / file).write_bytes(data)
    with pytest.raises(ValueError, match=f"3.*remove {tmp_path}") as error:
        Checkpoint(tmp_path, "me").restore(shapes_of(state))
    assert len(str(error.value)) < 500


def test_a_fingerprint_sees_values_shapes_and_types():
    arrays = [np.arange(4), np.arange(4).reshape(2, 2), np.arange(4.0), np.arange(1, 5)]
    assert len({fingerprint({"x": array}) for array in arrays}) == 4
    assert fingerprint((jnp.arange(4),)) == fingerprint([np.arange(4, dtype=np.int32)])


def run(folder=None, **changed):
    case = TABLE[CASE]
    given = {"lanes": lanes(), "chunk": 1, "optimiser": case.optimiser, "method": case.method}
    given |= changed
    task = problem(case.data())
    return train(case.architecture, task, folder=folder, **given)


# Trains as `run` does, and dies between the third state and its note.
KILLED = """
import jax, os, signal, sys
from pathlib import Path
jax.config.update("jax_num_cpu_devices", 2)
from tests.train.programs import shared_programs
from tests.train.test_checkpoint import run
write = Path.write_text
def killed(path, text):
    if path.stem == "3":
        os.kill(os.getpid(), signal.SIGKILL)
    return write(path, text)
Path.write_text = killed
with shared_programs():  # The same executable as in the test.
    run(sys.argv[1])
"""


def test_a_killed_run_goes_on_and_ends_with_the_same_bits(tmp_path, programs):
    del programs
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)], cwd=ROOT, timeout=300,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"2", "2.json", "3"}
    epochs = []
    resumed = run(tmp_path, report=lambda epoch, _: epochs.append(epoch))
    assert epochs[0] == 3
    whole = run()
    alike = jax.tree.map(lambda a, b: a.tobytes() == b.tobytes(), resumed.state, whole.state)
    assert jax.tree.all(alike)
    # All is done: nothing runs again, and the result is the same once more.
    epochs.clear()
    again = run(tmp_path, report=lambda epoch, _: epochs.append(epoch))
    assert not epochs and (again.state.loss == whole.state.loss).all()
    for changed in ({"lanes": [lane(9), *lanes()[1:]]}, {"optimiser": Optimiser(0.1)}):
        with pytest.raises(ValueError, match="checkpoint of another"):
            run(tmp_path, **changed)
