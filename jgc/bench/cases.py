"""The table of comparisons: what of ours is measured beside what of whose.

Adding one is a row here, and a measure in the files of both sides.
"""

from typing import NamedTuple


class Case(NamedTuple):
    """One comparison.

    Attributes:
        ours: A measure of `SIDES["jgc"]`; words behind its name are its arguments.
        peer: What it is compared with, for people; blank without one.
        peers: Measures; the fastest of them counts.
        about: What is timed.
        platform: `"cpu"` or `"gpu"`: where it is one of the comparisons that run by default.
    """

    ours: str
    peer: str
    peers: tuple[str, ...]
    about: str
    platform: str = "cpu"


# Whose measures are where; a side is a process of its own.
SIDES = {
    "jgc": (
        "jgc.bench.citation", "jgc.bench.sums", "jgc.bench.networks", "jgc.bench.walks",
        "jgc.bench.chosen",
    ),
    "peer": ("jgc.bench.pyg", "jgc.bench.torch_csr", "jgc.bench.pyg_chosen"),
    "gensim": ("jgc.bench.word2vec",),
}  # fmt: skip
# What each side needs to be installed.
NEEDS = {"jgc": (), "peer": ("torch", "torch_geometric"), "gensim": ("gensim",)}


def side_of(measure: str) -> str:
    """Whose a measure is, by its first word.

    Example:
        >>> side_of("pyg-gcn-inference"), side_of("gcn-inference")
        ('peer', 'jgc')
    """
    word = measure.partition("-")[0]
    return {"pyg": "peer", "torch": "peer", "gensim": "gensim"}.get(word, "jgc")


_STEP = "GCN(16) on Cora, one training step with input dropout"
_PASS = "GCN(16) on Cora, one pass"
_SUM = "sums over edges, 64 features"

CASES = {
    "train-step-vs-pyg": Case("gcn-train-step", "PyG", ("pyg-gcn-train-step",), _STEP),
    "train-step-vs-pyg-compiled": Case(
        "gcn-train-step", "PyG, torch.compile", ("pyg-gcn-train-step-compiled",), _STEP
    ),
    "train-step-vs-torch-sparse": Case(
        "gcn-train-step", "torch CSR", ("torch-gcn-train-step",), _STEP
    ),
    "train-step-vs-torch-transposed": Case(
        "gcn-train-step", "torch CSR, transposes kept", ("torch-gcn-train-step-transposed",), _STEP
    ),
    "inference-vs-pyg": Case(
        "gcn-inference", "PyG", ("pyg-gcn-inference", "pyg-gcn-inference-csr"), _PASS
    ),
    "inference-vs-torch-sparse": Case(
        "gcn-inference", "torch CSR", ("torch-gcn-inference",), _PASS
    ),
    "ten-seeds-vs-pyg": Case(
        "ten-seeds", "PyG", ("pyg-ten-seeds",),
        "GCN(16) on Cora, 10 seeds x 200 epochs scored each epoch, with compiling",
    ),
    "aggregate-f32-1e5": Case(
        "sum-f32-1e5", "torch CSR", ("torch-sum-1e5",), f"{_SUM}, 1e5 nodes, 1e6 edges"
    ),
    "aggregate-f32-1e6": Case(
        "sum-f32-1e6", "torch CSR", ("torch-sum-1e6",), f"{_SUM}, 1e6 nodes, 1e7 edges"
    ),
    "aggregate-int8-1e5": Case(
        "sum-int8-1e5", "torch CSR, float32", ("torch-sum-1e5",), f"{_SUM} in bytes, 1e5, 1e6"
    ),
    "aggregate-int8-1e6": Case(
        "sum-int8-1e6", "torch CSR, float32", ("torch-sum-1e6",), f"{_SUM} in bytes, 1e6, 1e7"
    ),
    "gin-proteins-epoch-vs-pyg": Case(
        "gin-epoch", "PyG", ("pyg-gin-epoch",), "GIN 5x64 on PROTEINS, a shuffled epoch, batch 32"
    ),
    "gin-proteins-inference-vs-pyg": Case(
        "gin-inference", "PyG", ("pyg-gin-inference", "pyg-gin-inference-collated"),
        "the same network, one pass over all graphs",
    ),
    "int8-artefact-vs-f32": Case(
        "gcn64-int8", "jgc, float32", ("gcn64-f32",), "GCN(64), 1e5 nodes, 1e6 edges, one pass"
    ),
    "int8-artefact-vs-torch": Case(
        "gcn64-int8", "torch CSR, float32", ("torch-gcn64",), "the same"
    ),
    "structured-half-vs-dense": Case(
        "gcn256-half", "jgc, dense", ("gcn256",),
        "GCN(256) with every other neuron pruned and compacted, 1e5 nodes, 1e6 edges, one pass",
    ),
    "edge-gradient-vs-xla": Case(
        "edge-gradient", "XLA segment sums", ("edge-gradient-xla",),
        "forward, backward, gradient of edge weights, 1e5 nodes, 1e6 edges, 64 features",
    ),
    "gat-train-step-vs-pyg": Case(
        "gat-train-step", "PyG", ("pyg-gat-train-step",), "GAT 8x8 on Cora, one training step"
    ),
    "walks-5": Case("walks-5", "", (), "1e6 temporal walks of 5 edges, 1e5 nodes, 1e6 edges"),
    "walks-50": Case("walks-50", "", (), "the same, of 50 edges"),
    "skip-gram-8-vs-gensim": Case(
        "skip-gram-8", "gensim", ("gensim-skip-gram-8",),
        "skip-gram, width 8, a pass over 1e5 walks of 5 edges",
    ),
    "skip-gram-64-vs-gensim": Case(
        "skip-gram-64", "gensim", ("gensim-skip-gram-64",),
        "the same, width 64, walks of 50 edges",
    ),
    "scaling": Case("scaling", "", (), f"{_SUM}, 1e4 to 1e7 edges, ten a node"),
    "gpu-train-step-vs-pyg": Case("gcn-train-step", "PyG", ("pyg-gcn-train-step",), _STEP, "gpu"),
    "gpu-aggregate-vs-pyg": Case(
        "sum-f32-1e6", "PyG, torch CSR", ("pyg-sum-1e6", "torch-sum-1e6"),
        f"{_SUM}, 1e6 nodes, 1e7 edges", "gpu",
    ),
    "gpu-int8-vs-f32": Case(
        "sum-int8-1e6", "jgc, float32", ("sum-f32-1e6",), f"{_SUM}, 1e6 nodes, 1e7 edges", "gpu"
    ),
    "bandwidth": Case("bandwidth", "", (), f"{_SUM}, 1e6 nodes, 1e7 edges, bytes a second"),
}  # fmt: skip

# Models that PyG has ready-made. Its GAT ends in eight heads, ours in one.
SHARED = ("gcn", "sage", "gin")


def chosen(dataset: str, model: str) -> dict[str, Case]:
    """The comparisons for a model on a data set.

    Args:
        dataset: A name of `jgc.data.names()`, or one of the forms that it describes.
        model: A name of `jgc.models.MODELS`.

    Returns:
        Rows as those of `CASES`.

    Raises:
        ValueError: for an unknown data set or model.

    Example:
        >>> list(chosen("cora", "gcn"))
        ['cora-gcn-epoch', 'cora-gcn-pass']
        >>> chosen("cora-link", "gcn")["cora-link-gcn-pass"].peers
        ()
    """
    from jgc.data import info
    from jgc.models import named

    named(model)
    spec = info(dataset)
    shared = model in SHARED and spec.task != "link" and spec.kind == "class"
    passed = "a pass over all that is held out" if spec.task == "graph" else "a pass"
    parts = {"epoch": "an epoch of one lane, scored", "pass": passed}
    cases = {}
    for part, about in parts.items():
        words = f"{part}-of {dataset} {model}"
        peer, peers = ("PyG", (f"pyg-{words}",)) if shared else ("", ())
        cases[f"{dataset}-{model}-{part}"] = Case(words, peer, peers, f"{model}, {about}")
    return cases
