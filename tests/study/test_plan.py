import jax
import jax.numpy as jnp
import pytest

from jgc.graph import from_edges
from jgc.models import A2QGIN, GCN, HGPSL, MODELS, GNNNet, GraphModel, SuperGAT, task_of
from jgc.prune import COURSES
from jgc.prune import METHODS as PRUNERS
from jgc.quant import METHODS as QUANTIZERS
from jgc.study import Method, Settings
from jgc.study.course import course
from jgc.study.plan import build, of_model, plan
from jgc.study.translate import method_of
from jgc.train import GradES, Kfac, Optimiser, Phase, Stopping
from jgc.train.method import check_method
from tests.study.cases import words
from tests.train.cases import tiny_graphs, tiny_links, tiny_nodes, tiny_rows


def test_defaults_of_the_task_then_of_the_model_then_the_recipe():
    gcn, gat = plan(tiny_nodes(), "gcn"), plan(tiny_nodes(), "gat")
    assert (gcn.model.hidden, gcn.epochs, gcn.finetune_epochs) == (64, 200, 100)
    assert (gat.model.hidden, gat.model.dropout, gat.optimiser.learning_rate) == (8, 0.6, 0.005)
    assert gat.optimiser.weight_decay == gcn.optimiser.weight_decay == 5e-4
    own = plan(tiny_nodes(), "gat", Settings(hidden=3, epochs=7, finetune_epochs=0, dropout=0.1))
    assert (own.model.hidden, own.model.dropout, own.epochs, own.finetune_epochs) == (3, 0.1, 7, 0)
    assert own.settings.learning_rate == 0.005 and own.settings.hidden == 3


def test_models_fit_their_task():
    assert plan(tiny_nodes(), "gcn").model.out == 3
    links = plan(tiny_links(), "gcn", Settings(hidden=6)).model
    assert (links.hidden, links.out) == (6, 3)
    graphs = plan(tiny_graphs(), "gin", Settings(hidden=6, readout="max")).model
    assert isinstance(graphs, GraphModel) and graphs.out == 3
    assert (graphs.readout, graphs.encoder.hidden, graphs.encoder.out) == ("max", 6, 6)


def test_rows_take_the_networks_and_rates_of_the_paper():
    """arXiv 2209.04766: 16-128-1 for pairs, 64-256-128-10 for nodes."""
    pairs, nodes = plan(tiny_rows(), "mlp"), plan(tiny_rows("class"), "mlp")
    assert pairs.optimiser == Optimiser(0.05, 0.0, rule="sgd", decay=0.98)
    assert nodes.optimiser == Optimiser(0.004, 0.001, decay=0.99)
    assert [(p.batch_size, p.epochs, p.finetune_epochs) for p in (pairs, nodes)] == [
        (1024, 20, 10), (512, 20, 10),
    ]  # fmt: skip
    for ready, d, widths in ((pairs, 16, [128, 1]), (nodes, 64, [256, 128, 10])):
        graph = from_edges([], [], n_node=3, nodes=jnp.ones((3, d)))
        model = ready.model.clone(out=widths[-1])
        params = model.init(jax.random.key(0), graph)["params"]
        shapes = [params[f"linear{i}"]["kernel"].shape for i in range(1, len(widths) + 1)]
        assert shapes == list(zip([d, *widths[:-1]], widths, strict=True))
        assert all(("bias" in leaf) == (d == 16) for leaf in params.values())
    own = plan(tiny_rows(), "mlp", Settings(rule="adam", rate_decay="cosine", batch_size=8))
    assert (own.optimiser.rule, own.optimiser.decay, own.batch_size) == ("adam", "cosine", 8)
    assert plan(tiny_nodes(), "mlp").batch_size is None
    assert of_model(tiny_rows(), MODELS["mlp"](), Settings()).optimiser.rule == "sgd"


def test_networks_of_the_paper_are_their_defaults():
    """arXiv 2510.22058: what `jgc compress DATASET MODEL` trains without a setting."""
    spline = plan(tiny_nodes(), "splinecnn")
    assert (spline.model.hidden, spline.model.dropout, spline.epochs) == (16, 0.5, 200)
    gnnnet = plan(tiny_graphs(), "gnnnet")
    head = gnnnet.model.readout, gnnnet.model.head_layers
    assert head == ("max", 1) and (gnnnet.batch_size, gnnnet.optimiser.learning_rate) == (24, 0.005)
    assert gnnnet.model.encoder == GNNNet()
    gin = plan(tiny_graphs(), "gin-a2q").model
    assert gin == GraphModel(A2QGIN(), 3, "mean", dropout=0.0)
    assert plan(tiny_nodes(), "supergat").model == SuperGAT(hidden=8, out=3, dropout=0.6)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("task", ["node", "link", "graph"])
def test_every_model_has_defaults_for_every_task(task, name):
    if task_of(name) in (None, task):
        model, settings = build(task, name, None)
        assert settings.hidden in (getattr(model, "hidden", None), model.out)


def test_models_that_are_made_for_one_task():
    ness = plan(tiny_links(), "ness")
    assert (ness.model.out, ness.model.dropout, ness.settings.parts) == (32, 0.2, 4)
    assert plan(tiny_links(), "gcn").settings.parts is None
    ssp = plan(tiny_nodes(), "ssp")
    assert (ssp.model.hidden, ssp.model.input_dropout, ssp.model.dropout) == (16, 0.0, 0.5)
    assert ssp.optimiser.kfac == Kfac(0.01, 50) and ssp.settings.guess_power == 3.0
    assert plan(tiny_nodes(), "gcn").optimiser.kfac is None
    pooling = plan(tiny_graphs(), "hgp-sl", Settings(hidden=6)).model
    assert isinstance(pooling, HGPSL) and (pooling.hidden, pooling.out) == (6, 3)
    for data, model in ((tiny_nodes, "hgp-sl"), (tiny_nodes, "ness"), (tiny_links, "ssp")):
        with pytest.raises(ValueError, match="is made for task"):
            plan(data(), model)


def test_a_ready_made_model_keeps_its_attributes_and_says_them():
    made = of_model(tiny_nodes(), GCN(hidden=5, layers=3), Settings(epochs=4))
    assert (made.model.hidden, made.model.layers, made.model.out) == (5, 3, 3)
    assert made.epochs == 4 and "hidden = 5" in made.architecture
    assert plan(tiny_nodes(), "gcn").architecture is None


@pytest.mark.parametrize(
    "task, model, settings, message",
    [
        ("node", "gatt", {}, "Unknown model 'gatt'.*did you mean 'gat'"),
        ("node", "gcn", {"heads": 2}, "Unknown setting of gcn 'heads'"),
        ("graph", "gat", {"batch_norm": True}, "Unknown setting of gat 'batch_norm'"),
    ],
)
def test_unknown_words_are_errors(task, model, settings, message):
    with pytest.raises(ValueError, match=message):
        build(task, model, Settings(**settings))


@pytest.mark.parametrize("name", ["dense", *PRUNERS, *QUANTIZERS, "global+qat"])
def test_every_name_has_a_method_that_can_run(name):
    method = check_method(method_of(words(name), 9, 5))
    whole = COURSES.get(name) in ("first", "moving", "gradual")
    assert method.name == name and method.phases[0].epochs == (14 if whole else 9)
    if COURSES.get(name) in ("tuned", "pulled"):
        with pytest.raises(ValueError, match="needs `finetune_epochs` of at least 2"):
            method_of(words(name), 9, 0)
    else:
        check_method(method_of(words(name), 9, 0))


def test_courses_of_training():
    once, fresh = Phase(1, prune=True, rate=0.0), Phase(9, fresh=True)
    again = Phase(9, rewind=True)
    rounds = (Phase(9), *(once, again) * 4, once)
    assert course("ticket", None, 9, 5).phases == (*rounds, again)
    assert course("ticket", "scratch", 9, 5).phases == (*rounds, fresh)
    assert course("global", "rewind", 9, 5).phases == (Phase(9), once, again)
    assert course("slr", None, 9, 6).schedule(0.5).begin == 3
    moving = course("rigl", None, 200, 200)
    assert moving.phases == (Phase(400, prune=True),) and moving.every == 15
    with pytest.raises(ValueError, match="`rigl` prunes while it trains, so nothing comes after"):
        course("rigl", "none", 9, 5)
    with pytest.raises(ValueError, match="`ticket` rewinds after pruning"):
        course("ticket", "none", 9, 5)


def test_phases_of_a_method():
    assert method_of(words("dense"), 9, 5).phases == (Phase(9),)
    assert method_of(words("qat"), 9, 5).phases == (Phase(9, quantize=True),)
    assert method_of(words("fine"), 9, 5).phases == (Phase(9), Phase(5, prune=True))
    # Without fine-tuning one epoch scores the pruned model as it is.
    assert method_of(words("fine"), 9, 0).phases == (Phase(9), Phase(1, prune=True, rate=0.0))
    both = (Phase(9), Phase(5, prune=True), Phase(5, quantize=True))
    assert method_of(words("row+qat"), 9, 5).phases == both


def test_row_pruning_leaves_the_answers():
    params = {"inner": {"kernel": jnp.ones((4, 8))}, "last": {"kernel": jnp.ones((8, 7))}}
    build = method_of(words("row"), 9, 5, n_out=7).pruner
    assert build is not None
    prune = build(0.5, jax.random.key(0))
    masks = prune.update(prune.init(params), params)[0].masks
    assert masks["last"]["kernel"].all()
    assert masks["inner"]["kernel"].sum() == 4 * 4


def test_head_pruning_takes_the_inner_heads_of_the_model():
    data = tiny_nodes()
    ready = plan(data, "gat", Settings(hidden=2, heads=4))
    params = ready.model.init(jax.random.key(0), data.graphs[0])["params"]
    build = ready.method(words("head")).pruner
    assert build is not None
    prune = build(0.5, jax.random.key(0))
    masks = prune.update(prune.init(params), params)[0].masks
    assert masks["conv2"]["linear"]["kernel"].all()
    kept = masks["conv1"]["linear"]["kernel"].all(0).reshape(4, 2)
    assert (kept[:, 0] == kept[:, 1]).all() and kept[:, 0].sum() == 2
    with pytest.raises(ValueError, match="`head` prunes attention heads.* not `gcn`; try `row`"):
        plan(data, "gcn", Settings()).method(words("head"))


@pytest.mark.parametrize("after, phases", [
    ("none", [Phase(1, prune=True, rate=0.0)]),
    ("finetune", [Phase(5, prune=True)]),
    ("scratch", [Phase(1, prune=True, rate=0.0), Phase(9, fresh=True)]),
    ("scratch-2x", [Phase(1, prune=True, rate=0.0), Phase(18, fresh=True)]),
])  # fmt: skip
def test_what_follows_pruning(after, phases):
    method = check_method(method_of(words("global", after=after), 9, 5))
    assert method.phases == (Phase(9), *phases)
    assert method.name == ("global" if after == "finetune" else f"global/{after}")


def test_a_penalty_is_dense_training_with_a_traced_decay():
    method = method_of(Method.checked({"name": "l2", "l2": [0, 1e-3]}, "method"), 9, 5)
    assert method.phases == (Phase(9),) and method.l2


def test_choices_reach_the_quantiser(monkeypatch):
    given, method = {}, words("qat", ranges="abs", gradient="ste")
    monkeypatch.setitem(QUANTIZERS, "qat", lambda bits, **choices: given.update(choices))
    build = method_of(method, 9, 5).quantizer
    assert build is not None
    build(8)
    assert given == {"ranges": "abs", "clip_gradient": False}


def test_early_stopping_is_as_the_recipe_says():
    data = tiny_nodes()
    assert plan(data, "gcn").stopping == Stopping()
    assert plan(data, "gcn", Settings(patience=7)).stopping == Stopping(patience=7)
    settings = Settings(grades_threshold=0.1, grades_interval=2, grades_rebuilds=1)
    assert plan(data, "gcn", settings).stopping.grades == GradES(0.1, interval=2, rebuilds=1)
    with pytest.raises(ValueError, match="`grades_grace` needs `grades_threshold`"):
        Settings(grades_grace=0.5)
