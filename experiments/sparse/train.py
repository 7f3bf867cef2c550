"""Is a whole training cheaper where sparse weights are stored, not masked?

RigL on CollegeMsg's pairs, an MLP of 256-128-1, both ways; CPU seconds of the last 40 epochs, so
that compiling and the first epochs are not counted, and the score that must not change.

    JAX_NUM_CPU_DEVICES=2 python experiments/sparse/train.py
"""

import time

from jgc import data, prune
from jgc.models import MLP, for_task
from jgc.train import Method, Phase, lane, problem, train

EPOCHS = 60


def main():
    pairs = data.load("collegemsg")
    model = for_task(MLP(hidden=256, layers=3, narrowing=2, dropout=0.0), "node", pairs.n_class)
    print("sparsity | weights | compile s | CPU s of 40 epochs | validation")
    for sparsity in (0.875, 0.96875):
        lanes = [lane(seed, sparsity=sparsity) for seed in (0, 1)]
        for stored in (False, True):
            used = {}

            def note(epoch, of, used=used):
                used[epoch] = time.process_time()

            done = train(
                model, problem(pairs, batch_size=1024), rigl(stored), lanes, chunk=20, report=note
            )
            name, spent = "stored" if stored else "masked", used[EPOCHS] - used[EPOCHS - 40]
            val = 100 * done.state.best.val.mean()
            print(f"{sparsity} | {name} | {done.compile_s:.1f} | {spent:.1f} | {val:.2f}")


def rigl(stored: bool) -> Method:
    def moving(sparsity):
        return prune.window(sparsity, begin=0, end=45)

    def build(sparsity, key):
        return prune.rigl(sparsity, key=key, schedule=moving, every=2)

    return Method("rigl", (Phase(EPOCHS, prune=True),), build, stored=stored)


if __name__ == "__main__":
    main()
