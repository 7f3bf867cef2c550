"""From the file alone comes the model that was trained, bit for bit."""

import functools
from types import SimpleNamespace

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jgc
from jgc import pack, prune, quant
from jgc.graph import batch
from jgc.models import GAT, GCN, GIN
from jgc.pack import artefact as artefacts
from tests.pack.restored import SETS, Untrained, untrained
from tests.train.cases import tiny_nodes

SETTINGS = {"epochs": 3, "finetune_epochs": 2}


@pytest.fixture(autouse=True)
def _quick(programs):
    del programs


@functools.cache
def compressed(task, model, prune_by, quantize_by):
    width = {"hidden": 4} if isinstance(model, str) else {}
    return jgc.compress(
        model, SETS[task](), prune=prune_by, quantize=quantize_by, **SETTINGS, **width
    )


def answers(data, model, variables, masks, state, quantizer):
    graph = data.graphs[0] if data.task != "graph" else batch(list(data.graphs[:5]))
    # Uncompiled: two programs of the same sums may round them differently.
    return np.asarray(jgc.apply(model, variables, graph, masks, state, quantizer=quantizer)[0])


def check(made, path):
    """The restored model answers as the one in memory, whose weights are rounded on the way."""
    restored = pack.restore(path)
    due = answers(made.data, made.model, made.variables, made.masks, made.state, made.quantizer)
    found = answers(made.data, restored.model, restored.variables, None, restored.quant,
                    restored.quantizer)  # fmt: skip
    assert found.std() > 0
    if shapes(restored.variables) == shapes(made.variables):
        np.testing.assert_array_equal(found, due)
    else:  # Compacted: its sums have fewer terms.
        np.testing.assert_allclose(found, due, rtol=1e-5, atol=1e-5)
    assert restored.model == made.model
    assert (restored.task, restored.kind) == (made.data.task, made.data.kind)
    assert restored.dataset == made.data.name
    return restored


def check_result(task, model, pruner, quantizer, path):
    """As `check` for what `jgc.compress` trains and saves."""
    result = compressed(task, model, pruner, quantizer)
    result.save(path)
    best = result.best
    state = None if quantizer is None else best.quant
    made = Untrained(
        result.model, SETS[task](), {"params": best.params, **best.stats}, best.masks, state,
        quantizer,
    )  # fmt: skip
    restored = check(made, path / "model.safetensors")
    assert restored.meta["config"]["dataset"] == made.data.name
    return result, restored


def shapes(variables):
    return jax.tree.map(np.shape, variables)


MODELS = {"link": GAT(hidden=4, out=3, heads=2)}
ROWS = {name: (name, 3, {}) for name in quant.METHODS} | {
    "affine weights, wide values": (
        "qat",
        4,
        {"symmetric_weights": False, "symmetric_values": True, "bits_values": 7},
    ),
    "messages alone": ("qat", 8, {"per_channel": False, "is_site": lambda site: "message" in site}),
    "symmetric values": ("degree", 3, {"symmetric_values": True}),
    "all sites of nodes": ("a2q", 2, {"is_feature": lambda site: True}),
}
QUANTISED = [(task, row) for row in ROWS for task in (SETS if row in quant.METHODS else ["node"])]


@pytest.mark.parametrize("task, row", QUANTISED)
def test_every_quantiser(task, row, tmp_path):
    name, bits, settings = ROWS[row]
    made = untrained(task, quant.METHODS[name](bits, **settings), MODELS.get(task))
    made.save(tmp_path / "model.safetensors")
    check(made, tmp_path / "model.safetensors")


@pytest.mark.parametrize("task, name", [("node", "qat"), ("link", "degree"), ("graph", "a2q")])
def test_every_task_as_trained(task, name, tmp_path):
    model = {"node": GCN(hidden=4), "link": GAT(hidden=4, out=3, heads=2), "graph": GIN(4, 4, 1)}
    quantizer = quant.METHODS[name](3)
    result, restored = check_result(task, model[task], None, quantizer, tmp_path)
    kinds = {type(state) for state in restored.quant.sites.values()}
    if name == "a2q":
        assert quant.Groups in kinds
        bits = [float(quant.average_bits(q)) for q in (restored.quant, result.best.quant)]
        assert bits[0] == pytest.approx(bits[1], rel=1e-3)  # Shares are stored in 16 bits.


STRUCTURED = {name: (name, {}) for name in ("global", "row", "head", "n:m")} | {
    name: ("admm", {"structure": name, "schedule": lambda s: prune.one_shot(s, at=0)})
    for name in ("column", "block")
}


@pytest.mark.parametrize("name", STRUCTURED)
def test_every_structure(name, tmp_path):
    hidden = lambda name, leaf: name == "conv1/linear/kernel"  # noqa: E731
    method, settings = STRUCTURED[name]
    pruner = prune.METHODS[method](0.5, key=None, is_prunable=hidden, **settings)
    made = untrained("node", quant.qat(5), GCN(hidden=16, out=3), pruner=pruner)
    made.save(tmp_path / "model.safetensors")
    restored = check(made, tmp_path / "model.safetensors")
    # Whole units leave the arrays, single weights stay in them as zeros.
    full = sum(x.size for x in jax.tree.leaves(made.variables["params"]))
    kept = sum(int((x != 0).sum()) for x in jax.tree.leaves(restored.variables["params"]))
    assert kept < 0.7 * full


def test_what_a_reader_wants_is_there(tmp_path):
    result = compressed("node", "mlp", "global:0.5", "qat:5")
    meta = result.save(tmp_path).meta
    assert meta.keys() >= {"metric", "val", "test", "config", "jgc", "format", "task", "dataset"}
    plain = {key: value for key, value in result.artefact.items() if key != "meta"}
    assert result.rows[-1]["bytes_file"] == pack.file_bytes(**plain), "rows do not count `meta`"


def test_a_range_that_was_never_seen_is_still_so():
    quantizer = quant.qat(4)
    params = {"kernel": jnp.ones((2, 2))}
    place = quant.Place((2, 2), jnp.float32)
    state = quantizer.init(params, {"message": place, "input": place})
    x = jnp.array([[-3.0, 5.0]])
    _, state = quantizer.value(state, "input", x, None, None, True)
    built, again = quant.from_spec(
        quant.spec_of(quantizer, state), quantizer.stored(state), quantizer.grids(state, params)
    )
    for site in ("message", "input"):
        for values in (x, 10 * x):
            due = quantizer.value(state, site, values, None, None, False)[0]
            np.testing.assert_array_equal(
                built.value(again, site, values, None, None, False)[0], due
            )


# What a file may say that is not so.


@functools.cache
def held(quantised=True):
    result = compressed("node", "mlp", "global:0.5", "qat:5" if quantised else None)
    return SimpleNamespace(**result.artefact)


def saved(folder, meta=None, params=None, stats=None):
    path, good = folder / "model.safetensors", held()
    pack.save(
        path, params or good.params, good.masks if params is None else None, good.grids,
        meta=good.meta if meta is None else meta, stats=stats or good.stats,
    )  # fmt: skip
    return path


def changed(**changes):
    return held().meta | changes


def of_quantizer(**changes):
    return {"meta": changed(quantizer=held().meta["quantizer"] | changes)}


LIES = {
    "of an older jgc": (lambda: {"meta": {"val": 0.5}}, "written by an older jgc.*anew"),
    "another's module": (lambda: {"meta": changed(model=None)}, "not of `jgc.models`"),
    "another's quantiser": (lambda: {"meta": changed(quantizer=None)}, "not of `jgc.quant`"),
    "a newer model": (
        lambda: {"meta": changed(jgc="9.1", model={"name": "gcn9", "settings": {}})},
        r"written by jgc 9\.1, this is .*`model.name`: Unknown model 'gcn9'",
    ),
    "another width": (
        lambda: {"meta": changed(model={"name": "mlp", "settings": {"hidden": 3, "out": 3}})},
        r"`model` asks for params/.* the file holds",
    ),
    "more layers": (
        lambda: {"meta": changed(model={"name": "mlp", "settings": {"hidden": 4, "layers": 3}})},
        "`model` asks for .*the file holds",
    ),
    "no layers": (
        lambda: {"meta": changed(model={"name": "gat", "settings": {"heads": 0}})}, "`model`",
    ),
    "features": (lambda: {"meta": changed(n_feature=8)}, "`model` asks for params/"),
    "features beyond any": (lambda: {"meta": changed(n_feature=10**12)}, "`n_feature` must be"),
    "features in words": (lambda: {"meta": changed(n_feature="9")}, "`n_feature` must be a int"),
    "a task": (lambda: {"meta": changed(task="edge")}, "`task` must be one of"),
    "a kind": (lambda: {"meta": changed(kind="word")}, "`kind` must be one of"),
    "a quantiser": (lambda: of_quantizer(name="eval"), "`quantizer.name` must be one of"),
    "a list": (lambda: of_quantizer(name=[]), "`quantizer.name` must be one of"),
    "a setting": (lambda: of_quantizer(is_site="os"), "unknown key 'is_site'"),
    "a setting's type": (lambda: of_quantizer(symmetric_values="no"), "`quantizer.symmetric_val"),
    "a kind of site": (lambda: of_quantizer(sites={"code": ["x"]}), r"has \['code'\]"),
    "sites": (lambda: of_quantizer(sites=["x"]), "`quantizer.sites` must be lists"),
    "fewer sites": (lambda: of_quantizer(sites={"range": ["input"]}), "`names` are 1 sites"),
    "a site of no model": (
        lambda: of_quantizer(
            sites={"range": [f"site{i}" for i, _ in enumerate(stored()["lo"])]}
        ),
        r"`quantizer.sites` has \['site0'",
    ),
    "no ranges": (lambda: {"stats": {"sites": {"hi": np.zeros(1)}}}, "has shapes"),
    "a range without end": (
        lambda: {"stats": {"sites": stored() | {"hi": stored()["hi"] + np.inf}}}, "is no Site",
    ),
    "a width of 99": (
        lambda: {"stats": {"sites": stored() | {"bits": stored()["bits"] + 94}}}, "is no Site",
    ),
    "groups without arrays": (
        lambda: {"meta": changed(quantizer={"name": "a2q", "sites": {"groups": ["input"]}})},
        "'input' is no Groups",
    ),
}  # fmt: skip


def stored():
    return {name: np.asarray(leaf) for name, leaf in held().stats["sites"].items()}


@pytest.mark.parametrize("lie", LIES)
def test_lies_name_the_file_and_the_key(lie, tmp_path):
    make, message = LIES[lie]
    with pytest.raises(ValueError, match=message) as caught:
        pack.restore(saved(tmp_path, **make()))
    assert "model.safetensors`, `meta`" in str(caught.value)


WIDTHS = {
    "as the module says": (4, 4, 4, None, ""),
    "narrower together": (2, 2, 2, None, ""),
    "with a bias for constants": (2, 2, 2, 2, ""),
    "narrower where it is made alone": (2, 2, 4, None, "`model`: it cannot run"),
    "narrower where it is read alone": (4, 4, 2, None, "`model`: it cannot run"),
    "one mean for all": (4, 1, 4, None, "the widths of its tensors do not fit together"),
    "wider": (5, 5, 5, None, r"`model` asks for .*\(4,\).* the file holds .*\(5,\)"),
    "a bias of another width": (4, 4, 4, 3, "`model` asks for params/conv2/linear/bias"),
}


@pytest.mark.parametrize("name", WIDTHS)
def test_layers_may_be_narrower_where_they_fit_together(name, tmp_path):
    made, mean, read, bias, message = WIDTHS[name]
    data, model = tiny_nodes(), GCN(hidden=4, out=2, batch_norm=True)
    params = {
        "conv1": {"bias": np.ones(made), "linear": {"kernel": np.ones((9, made))}},
        "norm1": {"bias": np.ones(made), "scale": np.ones(made)},
        "conv2": {"bias": np.ones(2), "linear": {"kernel": np.ones((read, 2))}},
    }
    if bias is not None:
        params["conv2"]["linear"]["bias"] = np.ones(bias)
    stats = {"batch_stats": {"norm1": {"mean": np.ones(mean), "var": np.ones(made)}}}
    params, stats = jax.tree.map(np.float32, (params, stats))
    saved = pack.save(
        tmp_path / "model.safetensors", params, stats=stats, meta=pack.describe(model, data)
    )
    if message:
        with pytest.raises(ValueError, match=message):
            pack.restore(saved)
        return
    restored = pack.restore(saved)
    found = jgc.apply(restored.model, restored.variables, data.graphs[0])[0]
    assert found.shape == (len(data.labels), 2)


def test_a_pruned_neuron_is_not_in_the_file(tmp_path):
    result = compressed("node", "mlp", "row:0.5", "qat:5")
    saved = result.save(tmp_path)
    assert saved.params["linear1"]["kernel"].shape == (9, 2)
    assert {info.positions for info in saved.tensors} == {"dense"}
    assert result.best.params["linear1"]["kernel"].shape == (9, 4)


def test_the_honest_file_restores(tmp_path):
    assert pack.restore(saved(tmp_path)).dataset == "tiny"


def test_a_module_of_ones_own_is_saved_but_not_restored(tmp_path):
    class Mine(nn.Module):
        out: int = 2

        @nn.compact
        def __call__(self, graph, layout=None, *, train=False):
            return jnp.ones((graph.nodes.shape[0], 1)) @ self.param(
                "kernel", nn.initializers.ones, (1, self.out)
            )

    saved = jgc.compress(Mine(), tiny_nodes(), epochs=1).save(tmp_path)
    assert saved.params["kernel"].shape == (1, 3)
    with pytest.raises(ValueError, match="not of `jgc.models`; build it yourself"):
        pack.restore(saved)


def test_saved_by_hand(tmp_path):
    """A user's own loop, with no `compress` in it."""
    data, model, quantizer = tiny_nodes(), GCN(hidden=4, out=3), quant.qat(8)
    graph = data.graphs[0]
    params = model.init(jax.random.key(0), graph)["params"]
    state = quantizer.init(params, jgc.sites(model, params, graph))
    _, state = jgc.apply(
        model, params, graph, None, state, quantizer=quantizer, train=True,
        rngs={"dropout": jax.random.key(1)},
    )  # fmt: skip
    saved = pack.save(
        tmp_path / "m.safetensors", params, None, quantizer.grids(state, params),
        meta=pack.describe(model, data, quantizer, state),
        stats={"sites": quantizer.stored(state)},
    )  # fmt: skip
    restored = pack.restore(saved)
    np.testing.assert_array_equal(
        jgc.apply(model, params, graph, None, state, quantizer=quantizer)[0],
        jgc.apply(restored.model, restored.variables, graph, None, restored.quant,
                  quantizer=restored.quantizer)[0],
    )  # fmt: skip
    assert isinstance(saved, artefacts.Artefact)
