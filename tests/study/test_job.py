from dataclasses import replace

import jax
import numpy as np
import pytest

from jgc import pack
from jgc.pack.flops import UPDATE
from jgc.study import Settings, check_row
from jgc.study.job import Job, packable
from jgc.study.method import Level
from jgc.study.plan import plan
from jgc.study.training import run_job, train_job
from jgc.study.translate import method_of
from tests.study.cases import words
from tests.train.cases import N_NODE, tiny_graphs, tiny_links, tiny_nodes, tiny_rows

SETTINGS = Settings(hidden=4, epochs=3, finetune_epochs=2, learning_rate=0.05)


def job(data, model, method, runs, settings=SETTINGS):
    ready = plan(data, model, settings)
    method = method_of(words(method), ready.epochs, ready.finetune_epochs)
    return Job(data, model, ready, method, tuple(runs))


@pytest.fixture(scope="module")
def both(programs):
    del programs
    runs = [(Level(s, 4), seed) for s in (0.5, 0.9) for seed in range(2)]
    todo = job(tiny_nodes(), "mlp", "global+qat", runs)
    plain = job(tiny_nodes(), "mlp", "dense", [(Level(), seed) for seed in range(2)])
    return todo, run_job(todo, dense=(plain, train_job(plain).state))


def test_rows_are_whole_and_valid(both):
    todo, outcome = both
    assert outcome.trained.traces == 1 and len(outcome.rows) == len(outcome.models) == 4
    for (level, seed), row in zip(todo.runs, outcome.rows, strict=True):
        checked = check_row(row)
        assert checked["key"] == todo.key(level, seed)
        assert (row["dataset"], row["task"], row["model"]) == ("tiny", "node", "mlp")
        assert (row["method"], row["bits"], row["seed"]) == ("global+qat", 4, seed)
        assert row["split"] == f"random-{seed}" and row["metric"] == "accuracy"
        assert 0 <= row["dense_test"] <= 1
        assert row["config"]["settings"]["hidden"] == 4
        assert row["config"]["phases"] == [
            {"epochs": 3}, {"epochs": 2, "prune": True}, {"epochs": 2, "quantize": True},
        ]  # fmt: skip
        n = 9 * 4 + 4 * 3
        assert row["sparsity"] == round(1 - round((1 - level.sparsity) * n) / n, 3)


def test_sizes_are_those_of_the_files(both):
    todo, outcome = both
    for (level, _), row, model in zip(todo.runs, outcome.rows, outcome.models, strict=True):
        assert row["bytes_dense"] == pack.dense_bytes({"params": model.params})
        assert row["bytes_file"] == pack.file_bytes(**packable(todo, model))
        weights = [int(model.masks[f"linear{i}"]["kernel"].sum()) for i in (1, 2)]
        assert sum(weights) == round((1 - level.sparsity) * 48)
        assert row["macs"] == N_NODE * sum(weights)
        assert row["bops"] == N_NODE * sum(weights) * 4 * 4


def test_rows_say_what_each_layer_kept(both):
    _, outcome = both
    for row, model in zip(outcome.rows, outcome.models, strict=True):
        kept = {name: int(model.masks[name]["kernel"].sum()) for name in ("linear1", "linear2")}
        assert row["layers"] == {
            "linear1": round(kept["linear1"] / 36, 4), "linear2": round(kept["linear2"] / 12, 4),
        }  # fmt: skip
        assert "bits_by_degree" not in row


def test_levels_and_seeds_name_different_rows(both):
    todo, _ = both
    keys = [todo.key(*run) for run in todo.runs]
    assert len(set(keys)) == 4
    left = todo.without({keys[0], keys[3]})
    assert [todo.key(*run) for run in left.runs] == keys[1:3]
    others = [
        job(tiny_nodes(), "mlp", "global+qat", todo.runs, Settings(hidden=5)),
        job(tiny_nodes(), "gcn", "global+qat", todo.runs),
        job(tiny_links(), "mlp", "global+qat", todo.runs),
    ]
    assert not set(keys) & {other.key(*run) for other in others for run in other.runs}


def test_graphs_of_folds_report_operations_a_graph(programs):
    data = tiny_graphs()
    todo = job(data, "gin", "dense", [(Level(), seed) for seed in range(4)])
    rows = run_job(todo).rows
    assert [row["split"] for row in rows] == ["fold-0", "fold-1", "fold-2", "fold-0"]
    n_node = sum(g.nodes.shape[0] for g in data.graphs)
    n_edge = sum(g.senders.size for g in data.graphs)
    by_hand = n_node * (2 * 4) + n_edge * 4 + n_node * 4 * 4  # The first of five layers.
    by_hand += 4 * (2 * n_node * 4 * 4 + n_edge * 4)
    by_hand += 24 * (4 * 4 + 4 * 3)  # The head.
    for row in rows:
        check_row(row)
        assert row["macs"] == by_hand / 24
        assert not {"sparsity", "bits", "dense_test"} & set(row)


def test_models_that_read_edges_run_where_there_are_some(programs):
    data = tiny_graphs()
    runs = [(Level(None, None), 0)]
    with pytest.raises(ValueError, match="`mpnn` reads `graph.edges`, which this data set lacks"):
        run_job(job(data, "mpnn", "dense", runs))
    graphs = [g._replace(edges=np.ones((g.senders.size, 2), np.float32)) for g in data.graphs]
    settings = SETTINGS.model_copy(update={"layers": 1})
    (row,) = run_job(job(replace(data, graphs=graphs), "mpnn", "dense", runs, settings)).rows
    n_node, n_edge = (sum(g.n_node[0] for g in graphs), sum(g.senders.size for g in graphs))
    # Sixteen hidden units of each edge and one constant; the head.
    by_hand = n_edge * 2 * 16 + n_node * 2 * 17 * 4 + n_edge * 17 * 4 + n_node * 2 * 4
    assert row["macs"] == (by_hand + 24 * (4 * 4 + 4 * 3)) / 24


def test_links_count_the_edges_that_messages_take(programs):
    data = tiny_links()
    todo = job(data, "gcn", "dense", [(Level(), 0)])
    (row,) = run_job(todo).rows
    n_edge = 2 * len(data.splits[0].train)
    assert row["macs"] == N_NODE * 9 * 4 + n_edge * 4 + N_NODE * 4 * 2 + n_edge * 2
    assert row["metric"] == "roc_auc" and 0 <= row["test"] <= row["test_oracle"] <= 1


def test_training_that_diverged_is_a_clear_error(programs):
    todo = job(tiny_nodes(), "mlp", "dense", [(Level(), 3)], SETTINGS.model_copy(
        update={"learning_rate": 1e30}))  # fmt: skip
    with pytest.raises(
        ValueError, match="tiny node mlp dense: .*seeds .3.*smaller `learning_rate`"
    ):
        run_job(todo)


def test_the_chosen_model_is_that_of_its_lane(both):
    _, outcome = both
    params = [jax.tree.leaves(model.params) for model in outcome.models]
    assert all(isinstance(leaf, np.ndarray) for leaves in params for leaf in leaves)
    assert any((a != b).any() for a, b in zip(params[0], params[1], strict=True))


@pytest.mark.parametrize(
    "data, model, method, level",
    [
        (tiny_graphs, "hgp-sl", "global", Level(0.5, None)),
        (tiny_links, "ness", "global", Level(0.9, None)),
        (tiny_nodes, "ssp", "global", Level(0.5, None)),
    ],
    ids=["hgp-sl", "ness", "ssp"],
)
def test_models_made_for_one_task_are_compressed_as_any(data, model, method, level, programs):
    del programs
    (row,) = run_job(job(data(), model, method, [(level, 0)])).rows
    assert row["sparsity"] == pytest.approx(level.sparsity, abs=0.02)
    assert 0 <= row["test"] <= 1 and row["macs"] > 0
    assert row["config"]["settings"].get("parts") == (4 if model == "ness" else None)


def test_a_pruned_model_is_the_dense_one_with_its_small_weights_gone():
    """What starts from a dense training ends as if it had trained dense itself."""
    runs = [(Level(0.5), seed) for seed in (1, 0)]
    plain = job(tiny_nodes(), "mlp", "dense", [(Level(), seed) for seed in range(2)])
    state = train_job(plain).state
    todo = job(tiny_nodes(), "mlp", "global", runs)
    shared, alone = run_job(todo, dense=(plain, state)), run_job(todo)
    for i, seed in enumerate((1, 0)):
        np.testing.assert_array_equal(shared.trained.state.loss[i, :3], state.loss[seed])
        assert shared.rows[i]["dense_test"] == state.best.test[seed]
    np.testing.assert_allclose(shared.trained.state.loss, alone.trained.state.loss, rtol=1e-4)
    same = jax.tree.map(np.array_equal, *(o.trained.state.model.masks for o in (shared, alone)))
    assert jax.tree.all(same)
    assert [row["config"] for row in shared.rows] == [row["config"] for row in alone.rows]


def test_what_begins_in_another_way_takes_only_the_test_scores():
    plain = job(tiny_nodes(), "mlp", "dense", [(Level(), 0)])
    state = train_job(plain).state
    todo = job(tiny_nodes(), "mlp", "qat", [(Level(None, 4), 0)])
    with_dense, alone = run_job(todo, dense=(plain, state)), run_job(todo)
    np.testing.assert_array_equal(with_dense.trained.state.loss, alone.trained.state.loss)
    assert with_dense.rows[0]["dense_test"] == state.best.test[0]
    assert "dense_test" not in alone.rows[0]


def test_rows_tell_when_a_run_ended_and_a_matrix_froze(programs):
    del programs
    stop = SETTINGS.model_copy(update={"epochs": 20, "grades_threshold": 1e6, "grades_grace": 0.25})
    runs = [(Level(), seed) for seed in range(2)]
    todo = job(tiny_nodes(), "mlp", "dense", runs, stop)
    for row in run_job(todo).rows:
        assert check_row(row)["epochs"] == 6 and row["config"]["settings"]["grades_grace"] == 0.25
        assert row["epochs_by_layer"] == {"linear1": 5, "linear2": 5}
    waiting = SETTINGS.model_copy(update={"epochs": 40, "patience": 2})
    rows = run_job(job(tiny_nodes(), "mlp", "dense", runs, waiting)).rows
    assert all(row["epochs"] < 40 and "epochs_by_layer" not in row for row in rows)
    settings = [todo.config(Level(), 0)["settings"], rows[0]["config"]["settings"]]
    assert "patience" not in settings[0] and settings[1]["patience"] == 2


@pytest.mark.parametrize("method", ["dense", "global", "a2q"])
def test_rows_in_batches_are_compressed_as_any(method, programs):
    """Operations are those of a row: 4 * 8 + 8; an epoch passes the half of them that is fitted."""
    del programs
    settings = Settings(hidden=8, batch_size=16, epochs=2, finetune_epochs=1)
    level = {"global": Level(0.5), "a2q": Level(bits=4)}.get(method, Level())
    todo = job(tiny_rows(), "mlp", method, [(level, 0)], settings)
    (row,) = run_job(todo).rows
    assert row["macs"] == pytest.approx(40 * (0.5 if method == "global" else 1), abs=1)
    assert 0 <= row["test"] <= 1 and "bits_by_degree" not in row
    if method == "dense":
        passes = 2 * (2 * 50 * 40 + 2 * 50 * 40 + 2 * 50 * 8)
        assert row["train_flops"] == passes + 2 * 4 * UPDATE["sgd"] * 49


@pytest.mark.slow
def test_a_graph_over_two_devices_gives_the_rows_of_one(programs):
    """Masks, sizes and what is measured included; only the configuration tells them apart."""
    del programs
    runs = ((Level(0.5), 0), (Level(0.5), 1))
    rows = [
        run_job(
            job(tiny_nodes(), "gcn", "global", runs, SETTINGS.model_copy(update=more)), measure=True
        ).rows
        for more in ({}, {"devices": 2})
    ]
    for one, two in zip(*rows, strict=True):
        for name in ("val", "test", "sparsity", "bytes_file", "macs", "train_flops", "scores"):
            assert two[name] == pytest.approx(one[name]), name
        assert two["config"]["settings"].pop("devices") == 2
        assert two["config"] == one["config"]
