"""A study over the workers of a Ray cluster; this process alone writes rows."""

import socket
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from jgc.study.jobs import check
from jgc.study.pieces import Piece, outcomes, pieces
from jgc.study.recipe import Recipe, load_recipe
from jgc.study.store import Store

ATTEMPTS = 3  # What kills a worker so often would kill the next.
ANSWER_SECONDS = 60.0


def run_on_ray(
    recipe: Recipe,
    folder: str | Path,
    *,
    address: str | None = None,
    resume: bool = False,
    report: Callable[[str], None] = print,
    status: Callable[[str, int], None] = lambda text, rows: None,
) -> list[dict[str, Any]]:
    """As `jgc.study.runner.run_study`, on all CPUs of a Ray cluster, one worker each.

    Rows come back job by job and are written here. A worker that dies loses the job it was at:
    what is left of its piece runs again elsewhere.

    Args:
        recipe: What to run.
        folder: Where `results.jsonl` goes.
        address: `"host:port"` of a cluster whose machines have jgc and the data; `"auto"` for the
            one of this machine; `None` starts one here, on all cores, and ends it.
        resume: Skip the rows that `folder` already holds.
        report: Called with a line for every finished job and every dead worker.
        status: Called with what was done and the number of new rows.

    Returns:
        All rows of the folder.

    Raises:
        ValueError: for a recipe that cannot run, rows without `resume`, or where Ray is missing.
        OSError: if the address does not answer, or a piece has killed its worker three times.
    """
    ray = _ray()
    # Before the data are looked at: Ray forks, which a running jax dislikes.
    _connect(ray, address)
    try:
        check(recipe)
        store = Store(folder, report=report)
        store.begin(resume)
        n_worker = max(1, int(ray.cluster_resources().get("CPU", 1)))
        waiting = pieces(recipe, n_worker)
        report(f"{len(waiting)} pieces for {n_worker} workers")
        status("on Ray", len(store.rows()))
        for rows in _rows(ray, recipe, waiting, store.keys, report):
            written = store.append(rows)
            title = " ".join(str(rows[0][name]) for name in ("dataset", "task", "model", "method"))
            report(f"{title}: {written} rows")
            status(title, written)
    finally:
        ray.shutdown()
    return store.rows()


def _rows(
    ray, recipe: Recipe, waiting: list[Piece], done: Callable[[], set[str]], report
) -> Iterator[list[dict[str, Any]]]:
    """Rows of all jobs as they come; what a dead worker leaves is begun again."""
    work = ray.remote(num_cpus=1, max_retries=0, num_returns="streaming")(_work)
    text, died = recipe.to_toml(), dict.fromkeys(waiting, 0)
    running = {work.remote(text, piece, done()): piece for piece in waiting}
    while running:
        stream = ray.wait(list(running), num_returns=1)[0][0]
        try:
            yield ray.get(next(stream))
        except StopIteration:
            del running[stream]
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None  # A mistake of the recipe or the training, not of Ray.
        except ray.exceptions.RayError:
            piece = running.pop(stream)
            died[piece] += 1
            if died[piece] == ATTEMPTS:
                raise OSError(
                    f"{_said(recipe, piece)}: {ATTEMPTS} workers died of it, perhaps for want of "
                    "memory. The rows so far are safe; run again with --resume."
                ) from None
            report(f"{_said(recipe, piece)}: its worker died; what is left of it runs again")
            running[work.remote(text, piece, done())] = piece


def _work(text: str, piece: Piece, done: set[str]) -> Iterator[list[dict[str, Any]]]:
    """What a worker does: the jobs of a piece, in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        yield from outcomes(load_recipe(text), piece, done, Path(folder))


def _connect(ray, address: str | None) -> None:
    if address not in (None, "auto"):
        _check_answers(str(address))
    # A worker has one core: more XLA devices would only share it.
    alone = {"env_vars": {"JAX_NUM_CPU_DEVICES": "1"}}
    with warnings.catch_warnings():
        # jax warns of every fork once it runs; Ray forks only to start other programs.
        warnings.filterwarnings("ignore", "os.fork", RuntimeWarning)
        ray.init(address=address or "local", runtime_env=alone, log_to_driver=False)


def _check_answers(address: str) -> None:
    """Knocks from a process that can be given up: `ray.init` would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        raise ValueError(f'`address` must be "host:port" or "auto", got {address!r}.')
    knock = "import ray, sys; ray.init(sys.argv[1], log_to_driver=False)"
    try:
        socket.create_connection((host, int(port)), timeout=ANSWER_SECONDS).close()
        words = [sys.executable, "-c", knock, address]
        subprocess.run(words, check=True, capture_output=True, timeout=ANSWER_SECONDS)
    except (OSError, subprocess.SubprocessError) as error:
        raise OSError(
            f"No Ray cluster answers at {address} ({_reason(error)}). Is its head running (`ray "
            "start --head`), is this its address, and does it want a token (RAY_AUTH_MODE=token)?"
        ) from None


def _reason(error: OSError | subprocess.SubprocessError) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        return error.stderr.decode(errors="replace").strip().splitlines()[-1]
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return f"no word within {ANSWER_SECONDS:g} s"


def _said(recipe: Recipe, piece: Piece) -> str:
    run = recipe.run[piece.run]
    return f"{run.dataset} {run.model}, seeds {piece.seeds[0]} to {piece.seeds[-1]}"


def _ray():
    try:
        import ray  # pyright: ignore[reportMissingImports] - an extra
        import ray.exceptions  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise ValueError('`--executor ray` needs Ray: `pip install "jgc[cluster]"`.') from None
    return ray
