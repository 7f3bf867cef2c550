"""The constants of the cost model, measured here: rows of `rows.jsonl` with `what` = "constant".

python experiments/devices/constants.py            # sums over edges, products, coding
python experiments/devices/constants.py wire       # two processes on loopback, by themselves
"""

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("JAX_NUM_CPU_DEVICES", "1")

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from jax.sharding import Mesh  # noqa: E402
from jax.sharding import PartitionSpec as P  # noqa: E402

from jgc.graph import product, structure  # noqa: E402
from jgc.graph.exchange import AXIS, swap, swap_bytes  # noqa: E402
from jgc.train import join  # noqa: E402

HERE = Path(__file__).parent
REPEATS, WIDTH = 9, 64


def seconds(run, *args, clock=time.perf_counter) -> list[float]:
    """Of each repeat after the first, ascending."""
    jax.block_until_ready(run(*args))
    took = []
    for _ in range(REPEATS):
        began = clock()
        jax.block_until_ready(run(*args))
        took.append(clock() - began)
    return sorted(took)


def cpu_ns(run, *args) -> float:
    """Median of the processor time of all threads: other programs on the machine add little."""
    return 1e9 * statistics.median(seconds(run, *args, clock=time.process_time))


def keep(name: str, value: float, unit: str, **about) -> None:
    row = {
        "what": "constant", "name": name, "value": value, "unit": unit, **about,
        "load": os.getloadavg(), "cores": os.cpu_count(), "jax": jax.__version__,
    }  # fmt: skip
    with (HERE / "rows.jsonl").open("a") as file:
        file.write(json.dumps(row) + "\n")
    print(row, flush=True)


def compute() -> None:
    rng = np.random.default_rng(0)
    n, n_edge, d = 100_000, 1_000_000, WIDTH
    ends = rng.integers(0, n, (2, n_edge))
    pattern, x = structure(*ends, n_row=n, n_col=n), jnp.ones((n, d))
    both = jax.jit(jax.grad(lambda x, p: (product(p, None, x) ** 2).sum()))
    keep("edge", cpu_ns(both, x, pattern) / (n_edge * d), "CPU ns an edge and number, both ways")
    w = jnp.ones((d, d))
    dense = jax.jit(jax.grad(lambda w, x: ((x @ w) ** 2).sum()))
    keep("dense", cpu_ns(dense, w, x) / (2 * n * d * d), "CPU ns a multiply-add of a product")


def wire(process: int, address: str) -> None:
    join(address, 2, process)
    mesh = Mesh(jax.devices(), (AXIS,))
    ways = {"float32": swap, "int8": lambda x: swap_bytes(x, None)}
    for n_row in (1, 1 << 10, 1 << 14, 1 << 17):
        for name, run in ways.items():
            blocks = ones_on(mesh, (2, 2, n_row, WIDTH))
            took = seconds(over_both(run, mesh), blocks)
            if process == 0:
                about = {"rows": n_row, "width": WIDTH, "wire": name, "best": took[0]}
                keep("swap", statistics.median(took), "s", **about)


def ones_on(mesh, shape):
    ones = np.ones(shape, np.float32)
    return jax.make_array_from_callback(
        shape, jax.NamedSharding(mesh, P(AXIS)), lambda at: ones[at]
    )


def over_both(run, mesh):
    return jax.jit(
        jax.shard_map(
            lambda x: run(x[0])[None],
            mesh=mesh, in_specs=P(AXIS), out_specs=P(AXIS), check_vma=False,
        )
    )  # fmt: skip


if __name__ == "__main__":
    if len(sys.argv) == 1:
        compute()
    elif len(sys.argv) == 2:
        words = [sys.executable, __file__, "wire", "127.0.0.1:23571"]
        both = [subprocess.Popen([*words, str(i)]) for i in range(2)]
        sys.exit(max(process.wait() for process in both))
    else:
        wire(int(sys.argv[3]), sys.argv[2])
