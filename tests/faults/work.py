"""`Work`: what is killed and goes on, in a child process, and what must come of it all the same."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from jgc import pack
from jgc.study import Store, jobs, load_recipe, runner
from jgc.train import problem, train
from tests.study.cases import tiny_recipe
from tests.train.cases import TABLE, lanes, tiny_nodes

RECIPE = tiny_recipe(epochs=150, finetune=100)
TIMES = ("compile_s", "wall_s")


class Work(NamedTuple):
    """Something that writes into a folder.

    Attributes:
        name: What `tests.faults.run --work` calls it.
        run: Begins, or goes on with what the folder holds, to the end.
        result: What the folder says at the end; the same whatever happened on the way.
        check: Raises `AssertionError` if what a kill left in the folder can be taken for more than
            it is; returns words for where the kill struck.
    """

    name: str
    run: Callable[[Path], None]
    result: Callable[[Path], object]
    check: Callable[[Path], list[str]]


def prepare(cache: str) -> None:
    """Makes a process of tests ready: two devices, programs compiled once for all processes."""
    jax.config.update("jax_num_cpu_devices", 2)
    jax.config.update("jax_compilation_cache_dir", cache)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def run_study(folder: Path) -> None:
    jobs.load = lambda *words, **choices: tiny_nodes()
    runner.run_study(load_recipe(RECIPE), folder, resume=True, report=lambda line: None)


def rows(folder: Path) -> object:
    """Rows by key but for times, and every file that is left."""
    lines = (folder / "results.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    assert len({row["key"] for row in found}) == len(found), "a row is doubled"
    left = {path.suffix for path in folder.rglob("*") if path.is_file()} - {".partial"}
    told = [{name: row[name] for name in row if name not in TIMES} for row in found]
    return sorted(map(json.dumps, told)), left


def check_rows(folder: Path) -> list[str]:
    if not folder.exists():
        return ["nothing yet"]
    said: list[str] = []
    n_row = len(Store(folder, report=said.append).rows())
    return [f"{n_row} rows"] + ["partial line"] * len(said) + check_checkpoints(folder)


def run_training(folder: Path) -> None:
    case = TABLE["random"]
    phases = tuple(phase._replace(epochs=10) for phase in case.method.phases)
    done = train(
        case.architecture, problem(case.data()), case.method._replace(phases=phases), lanes(),
        chunk=1, optimiser=case.optimiser, folder=folder,
    )  # fmt: skip
    digest = hashlib.sha256(b"".join(np.asarray(x).tobytes() for x in jax.tree.leaves(done.state)))
    (folder / "digest").write_text(digest.hexdigest())


def digest(folder: Path) -> object:
    return (folder / "digest").read_text(), sorted(path.name for path in folder.iterdir())


def check_checkpoints(folder: Path) -> list[str]:
    """States without a note are never looked at; a note comes whole and after its state."""
    notes = [path for path in folder.rglob("*.json") if path.stem.isdigit()]
    for note in notes:
        assert json.loads(note.read_text())["epoch"] == int(note.stem)
        assert (note.parent / note.stem).is_dir(), "a note without its state"
    states = [path for path in folder.rglob("*") if path.is_dir() and path.name[0].isdigit()]
    half = [path for path in states if not path.with_name(path.name + ".json").exists()]
    return [f"{len(notes)} checkpoints"] + ["half checkpoint"] * bool(half)


def weights(seed: int) -> dict:
    rng = np.random.default_rng(seed)
    return {f"layer{i}": rng.normal(size=(200, 100)).astype(np.float32) for i in range(4)}


def run_artefact(folder: Path) -> None:
    """One artefact after another under the same name, as a longer and longer training saves."""
    folder.mkdir(exist_ok=True)
    for seed in range(8):
        pack.save(folder / "model.safetensors", weights(seed), meta={"seed": seed})


def artefact(folder: Path) -> object:
    return (folder / "model.safetensors").read_bytes()


def check_artefact(folder: Path) -> list[str]:
    """The file is whole, whichever it is."""
    scratch = ["half file beside it"] if list(folder.glob("*.tmp")) else []
    if not (folder / "model.safetensors").exists():
        return ["nothing yet", *scratch]
    held = pack.load(folder / "model.safetensors")
    told = weights(held.meta["seed"])
    assert all((held.params[name] == told[name]).all() for name in told)
    return [f"artefact {held.meta['seed']}", *scratch]


WORKS = {
    work.name: work
    for work in (
        Work("study", run_study, rows, check_rows),
        Work("training", run_training, digest, check_checkpoints),
        Work("artefact", run_artefact, artefact, check_artefact),
    )
}


def child(name: str, folder: str, cache: str) -> None:
    """What a child process does."""
    os.chdir(folder)
    prepare(cache)
    WORKS[name].run(Path(folder) / "work")
