import pytest

from jgc.models import GCN, HGPSL, GraphModel
from jgc.prune import METHODS as PRUNERS
from jgc.quant import METHODS as QUANTIZERS
from jgc.study import Settings
from jgc.study.plan import build, method_of, of_model, plan
from jgc.train import Phase
from jgc.train.method import check_method
from tests.train.cases import tiny_graphs, tiny_links, tiny_nodes


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


def test_models_that_are_made_for_one_task():
    ness = plan(tiny_links(), "ness")
    assert (ness.model.out, ness.model.dropout, ness.settings.parts) == (32, 0.2, 4)
    assert plan(tiny_links(), "gcn").settings.parts is None
    pooling = plan(tiny_graphs(), "hgp-sl", Settings(hidden=6)).model
    assert isinstance(pooling, HGPSL) and (pooling.hidden, pooling.out) == (6, 3)
    for data, model in ((tiny_nodes, "hgp-sl"), (tiny_nodes, "ness")):
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
    for finetune in (0, 5):
        method = check_method(method_of(name, 9, finetune))
        assert method.name == name and method.phases[0].epochs == 9


def test_phases_of_a_method():
    assert method_of("dense", 9, 5).phases == (Phase(9),)
    assert method_of("qat", 9, 5).phases == (Phase(9, quantize=True),)
    assert method_of("fine", 9, 5).phases == (Phase(9), Phase(5, prune=True))
    # Without fine-tuning one epoch scores the pruned model as it is.
    assert method_of("fine", 9, 0).phases == (Phase(9), Phase(1, prune=True, rate=0.0))
    both = (Phase(9), Phase(5, prune=True), Phase(5, quantize=True))
    assert method_of("row+qat", 9, 5).phases == both


@pytest.mark.parametrize("name", ["magic", "global+magic", "qat+global", "dense+qat", ""])
def test_unknown_methods_are_errors(name):
    with pytest.raises(ValueError, match="Unknown method.*known are"):
        method_of(name, 9, 5)
