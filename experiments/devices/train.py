"""One row of `rows.jsonl`: a model trained on one or more CPU devices of this process.

    python experiments/devices/train.py DATA [--devices 8] [--wire int8] [--model gcn] [--seeds 10]

DATA is a name of `jgc data list`, or blocks-EDGES. One device: JAX_NUM_CPU_DEVICES is set to
`--devices` before jax starts, so that a run has no more devices than it says.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("data")
parser.add_argument("--devices", type=int, default=1)
parser.add_argument("--wire", default="float32")
parser.add_argument("--model", default="gcn")
parser.add_argument("--seeds", type=int, default=10)
parser.add_argument("--epochs", type=int, default=200)
parser.add_argument("--hidden", type=int, default=64)
args = parser.parse_args()
os.environ["JAX_NUM_CPU_DEVICES"] = str(args.devices)

import jax  # noqa: E402
import numpy as np  # noqa: E402
from blocks import blocks  # noqa: E402

import jgc.data  # noqa: E402
from jgc.models import MODELS, for_task  # noqa: E402
from jgc.train import Method, Phase, lane, problem, traffic, train  # noqa: E402

HERE = Path(__file__).parent


def main() -> None:
    name, _, edges = args.data.partition("-")
    n_edge = int(float(edges)) if name == "blocks" else 0
    data = blocks(n_edge // 10, n_edge) if n_edge else jgc.data.load(args.data)
    model = for_task(MODELS[args.model](hidden=args.hidden), "node", data.n_class)
    began = time.perf_counter()
    task = problem(data, devices=args.devices, wire=args.wire)
    dealt_s = time.perf_counter() - began
    lanes = [lane(seed, split=seed % len(data.splits)) for seed in range(args.seeds)]
    done = train(model, task, Method("dense", (Phase(args.epochs),)), lanes, report=said)
    row = {
        "what": "train", "data": data.name, "model": args.model, "hidden": args.hidden,
        "devices": args.devices, "wire": args.wire, "epochs": args.epochs,
        "nodes": int(data.graphs[0].n_node[0]), "edges": int(data.graphs[0].n_edge[0]),
        "partition": "metis" if "pymetis" in sys.modules else "stream", "deal_s": round(dealt_s, 2),
        "val": done.state.best.val.tolist(), "test": done.state.best.test.tolist(),
        "losses": np.round(done.state.loss[0], 7).tolist(),
        "epoch_s": done.run_s / args.epochs / args.seeds, "compile_s": round(done.compile_s, 1),
        "load": os.getloadavg(), "cores": os.cpu_count(), "jax": jax.__version__,
    }  # fmt: skip
    if args.devices > 1:
        row |= traffic(model, task)._asdict()
    with (HERE / "rows.jsonl").open("a") as file:
        file.write(json.dumps(row) + "\n")
    print({name: value for name, value in row.items() if name != "losses"})


def said(done: int, total: int) -> None:
    print(f"epoch {done} of {total}", flush=True)


if __name__ == "__main__":
    main()
