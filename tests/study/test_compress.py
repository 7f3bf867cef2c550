import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

import jgc.study.compress as module
from jgc import pack, prune, quant
from jgc.forward import apply
from jgc.models import GCN
from jgc.quant import Quant
from jgc.study import Store
from jgc.study.method import Method as Words
from jgc.train import METRICS
from jgc.tree import path_name
from tests.train.cases import tiny_nodes

SETTINGS = {"epochs": 3, "finetune_epochs": 2, "learning_rate": 0.05}


@functools.cache
def compressed(prune_by=None, quantize_by=None, model="mlp"):
    settings = SETTINGS | ({"hidden": 4} if isinstance(model, str) else {})
    return module.compress(
        model, tiny_nodes(), prune=prune_by, quantize=quantize_by, seeds=2, **settings
    )


@pytest.fixture(autouse=True)
def _quick(programs):
    del programs


@pytest.mark.parametrize(
    "words", [("global:0.5", "qat:4"), (None, "degree:3"), ("global:0.5", "a2q:3")], ids=str
)
def test_from_the_file_alone_comes_the_reported_accuracy(tmp_path, words):
    result, data = compressed(*words), tiny_nodes()
    result.save(tmp_path)
    artefact = pack.load(tmp_path / "model.safetensors")
    stored = artefact.stats["sites"]

    # The weights come back on their grids; the sites' ranges turn values into codes as in training.
    def from_file(path, _):
        place = stored
        for name in path_name(path).split("/"):
            place = place[name]
        return jnp.asarray(place)

    if "lo" in stored:
        sites = quant.apart(stored, result.best.quant.sites)
    else:
        sites = jax.tree_util.tree_map_with_path(from_file, result.best.quant.sites)
    name, _, bits = words[1].partition(":")
    quantizer = quant.METHODS[name](int(bits))._replace(weight=lambda quant, params: params)
    out, _ = apply(
        result.model, artefact.params, data.graphs[0], None, Quant({}, sites), quantizer=quantizer
    )
    split = artefact.meta["config"]["split"]
    (parts,) = [s for s in data.splits if s.name == split]
    assert ("bits_features" in result.rows[-1]) == (name == "a2q")
    assert ("bits_by_degree" in result.rows[-1]) == (name == "a2q")
    for name in ("val", "test"):
        mask = jnp.zeros(len(data.labels), bool).at[getattr(parts, name)].set(True)
        found = METRICS["accuracy"](out, jnp.asarray(data.labels), mask)
        assert float(found) == artefact.meta[name]
    # Without the ranges of the sites it would be another model.
    loose, _ = apply(result.model, artefact.params, data.graphs[0])
    assert (loose != out).any()


def test_rows_are_dense_then_compressed_paired_by_seed(tmp_path):
    result = compressed("global:0.5", "qat:4")
    assert [row["method"] for row in result.rows] == ["dense"] * 2 + ["global+qat"] * 2
    dense, small = result.rows[:2], result.rows[2:]
    assert [row["dense_test"] for row in small] == [row["test"] for row in dense]
    assert result.artefact["meta"]["val"] == max(row["val"] for row in small)
    result.save(tmp_path / "new")
    rows = Store(tmp_path / "new").rows()
    assert [row["method"] for row in rows] == [row["method"] for row in result.rows]


def test_no_compression_is_the_dense_model():
    result = compressed()
    assert [row["method"] for row in result.rows] == ["dense"] * 2
    assert result.best.masks is None and result.artefact["grids"] is None


def test_transforms_do_the_same_and_say_how_much():
    words = compressed("global:0.5", "qat:4").rows
    made = compressed(prune.global_magnitude(0.5), quant.qat(4)).rows
    assert [row["test"] for row in made] == [row["test"] for row in words]
    for row in made[2:]:
        assert (row["method"], row["sparsity"], row["bits"]) == ("pruner+quantizer", 0.5, 4)
        assert row["config"]["sparsity"] == 0.5 and row["config"]["bits"] == 4
    assert [row["bops"] for row in made] == [row["bops"] for row in words]


def test_other_amounts_and_other_models_are_other_rows(tmp_path):
    """Rows of one folder are told apart by their configuration alone."""
    results = [
        compressed(quantize_by=quant.qat(4)),
        compressed(quantize_by=quant.qat(8)),
        compressed(model=GCN(hidden=4, dropout=0.1)),
        compressed(model=GCN(hidden=4, dropout=0.2)),
    ]
    for result in results:
        result.save(tmp_path)
    rows = Store(tmp_path).rows()
    # The dense rows of the first two are the same rows.
    assert len(rows) == 2 + 2 + 2 + 2 + 2
    assert [row["bits"] for row in rows if row["method"] == "quantizer"] == [4, 4, 8, 8]
    assert {row["model"] for row in rows} == {"mlp", "gcn"}


def test_a_model_of_ones_own_goes_by_its_class():
    class Constant(nn.Module):
        out: int = 2

        @nn.compact
        def __call__(self, graph, layout=None, *, train=False):
            kernel = self.param("kernel", nn.initializers.ones, (1, self.out))
            return jnp.ones((graph.nodes.shape[0], 1)) @ kernel

    result = module.compress(Constant(), tiny_nodes(), epochs=1)
    assert [row["model"] for row in result.rows] == ["constant"]
    assert result.model.out == 3


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"model": "gatt"}, "Unknown model 'gatt'.*did you mean 'gat'"),
        ({"prune": "globl:0.5"}, "unknown method `globl`, did you mean `global`"),
        ({"prune": "global:1.2"}, "1.2"),
        ({"prune": "qat:8"}, "`qat`|qat"),
        ({"quantize": "qat:9"}, "9"),
        ({"prune": 0.5}, "`prune` is a float; give 'global:0.5' or jgc.prune.global_magnitude"),
        ({"quantize": 8}, "`quantize` is a int; give 'qat:8' or jgc.quant.qat"),
        (
            {"prune": Words(name="global", sparsity=(0.5, 0.9))},
            "`prune` has 2 levels; give one, or run a study",
        ),
        ({"prune": "global:0.5", "quantize": quant.qat(8)}, "both as words or both as transforms"),
        ({"seeds": 0}, "`seeds` must be >= 1, got 0"),
        ({"epoch": 3}, "epoch"),
        ({"heads": 3}, "Unknown setting of mlp 'heads'"),
    ],
)
def test_wrong_words_are_errors(changed, message):
    arguments = {"model": "mlp", "data": tiny_nodes()} | changed
    with pytest.raises(ValueError, match=message):
        module.compress(**arguments)
