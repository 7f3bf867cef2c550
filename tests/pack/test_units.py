"""Who shares a fate with whom, and what is read whatever the features: by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

from jgc.graph import from_edges
from jgc.models import GAT, GCN, GNAE, GraphModel, GraphSAGE
from jgc.pack.compaction.fate import LAST, VARIES, fate, kept
from jgc.pack.compaction.units import ANSWERS, known_inputs, probe, units
from jgc.tree import named_leaves
from tests.models.cases import graph, variables

SMALL = probe(graph())


def arrays_of(model):
    whole = variables(model, graph())
    return whole, {name: np.array(leaf) for name, leaf in named_leaves(whole).items()}


def test_two_maps_that_are_added_share_every_unit():
    model = GraphSAGE(hidden=4, out=3)
    found = units(model, variables(model, graph()), SMALL)
    own = found.outputs["params/conv1/self/kernel"]
    assert len(set(own.tolist())) == 4
    for other in (
        found.outputs["params/conv1/self/bias"],
        found.inputs["conv2/neighbour"],
        found.outputs["params/conv1/neighbour/kernel"],
        found.inputs["conv2/self"],
    ):
        np.testing.assert_array_equal(other, own)  # fmt: skip
    np.testing.assert_array_equal(found.outputs["params/conv2/self/kernel"], found.inputs[ANSWERS])


def test_a_head_is_one_unit():
    model = GAT(hidden=2, heads=3, out=4)
    found = units(model, variables(model, graph()), SMALL)
    heads = found.inputs["conv2/linear"].reshape(3, 2)
    assert (heads[:, 0] == heads[:, 1]).all() and len(set(heads[:, 0])) == 3
    np.testing.assert_array_equal(found.outputs["params/conv1/att_source"][0], heads)
    np.testing.assert_array_equal(found.inputs["conv1/attention"], heads[:, 0])


def test_a_single_number_belongs_to_no_unit():
    model = GraphModel(GCN(hidden=2, out=2), out=2)
    found = units(model, variables(model, graph()), SMALL)
    assert set(found.outputs) == set(named_leaves(variables(model, graph())))
    assert not set(found.inputs["encoder/conv1/linear"]) & set(found.outputs["params/head1/bias"])


def test_constants_are_what_the_model_makes_of_its_biases():
    model = GCN(hidden=3, out=2)
    whole, arrays = arrays_of(model)
    kernel, bias = (arrays[f"params/conv1/{name}"] for name in ("linear/kernel", "bias"))
    kernel[:, 1:], bias[1:] = 0, [-2.0, 5.0]
    whole["params"]["conv1"] = {"linear": {"kernel": kernel}, "bias": bias}
    read = np.asarray(known_inputs(model, whole, SMALL)["conv2/linear"])
    assert np.isnan(read[:, 0]).all() and (read[:, 1:] == [0.0, 5.0]).all()


def test_a_sum_over_nodes_counts_them():
    model = GraphModel(GCN(hidden=3, out=1, layers=1), out=2)
    whole, arrays = arrays_of(model)
    whole["params"]["encoder"]["conv1"] = {
        "linear": {"kernel": np.zeros((5, 1), np.float32)}, "bias": np.full(1, -2.0, np.float32)
    }  # fmt: skip
    assert known_inputs(model, whole, SMALL)["head1"].tolist() == [[-8.0], [-4.0]]  # 4 and 2 nodes


@pytest.mark.parametrize(
    "pruned, gone, why", [([1], [0, 1, 0], None), ([0, 1, 2], [0, 1, 1], LAST)]
)
def test_fates_by_hand(pruned, gone, why):
    model = GCN(hidden=3, out=2)
    whole, arrays = arrays_of(model)
    kernel = arrays["params/conv1/linear/kernel"]
    kernel[:, pruned] = 0
    whole["params"]["conv1"]["linear"]["kernel"] = kernel
    found = units(model, whole, SMALL)
    values = {path: np.asarray(x) for path, x in known_inputs(model, whole, SMALL).items()}
    decided = fate(arrays, found, values)
    ids = found.outputs["params/conv1/bias"]
    assert decided.gone[ids].tolist() == [bool(each) for each in gone]
    assert decided.why[ids[0]] == (why or VARIES)
    positive = [i for i in np.flatnonzero(gone) if arrays["params/conv1/bias"][i] > 0]
    assert [(m.path, m.row, m.to) for m in decided.moves] == [
        ("conv2/linear", i, None) for i in positive
    ]


def test_what_no_linear_map_reads_stays():
    model = GNAE(out=3)
    whole, arrays = arrays_of(model)
    arrays["params/linear/kernel"][:, 1] = 0
    found = units(model, whole, SMALL)
    values = {path: np.asarray(x) for path, x in known_inputs(model, whole, SMALL).items()}
    assert not fate(arrays, found, values).gone.any()


def test_a_hole_that_is_no_slice_leaves_no_array():
    assert kept(jnp.eye(2, dtype=bool)) is None
    assert [stay.tolist() for stay in kept(np.array([[[True], [False]]]))] == [
        [True], [False, True], [True],
    ]  # fmt: skip


def test_the_probe_has_the_widths_of_the_graph():
    on = from_edges([0], [1], nodes=np.ones((2, 7)), edges=np.ones((1, 3)))
    assert probe(on).nodes.shape[1] == 7 and probe(on).edges.shape[1] == 3
    assert probe(from_edges([0], [1], nodes=np.ones((2, 7)))).edges is None
