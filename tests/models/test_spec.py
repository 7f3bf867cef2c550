"""Models as plain data and back."""

import json

import flax.linen as nn
import numpy as np
import pytest

from jgc.models import GCN, GraphModel, for_task, from_spec, spec_of, task_of
from tests.models.cases import SETTINGS, TABLE

GOOD = {"name": "gcn", "settings": {"hidden": 16}}


@pytest.mark.parametrize("key", TABLE)
@pytest.mark.parametrize("task", ["node", "link", "graph"])
def test_every_model_comes_back(key, task):
    if task_of(SETTINGS[key][0]) in (None, task):
        model = for_task(TABLE[key], task, 2)
        said = json.loads(json.dumps(spec_of(model)))
        assert from_spec(said) == model
        assert set(said["settings"]) >= {"out", "dropout"}, "defaults are written out"


def test_a_model_of_ones_own_has_no_words():
    class Mine(GCN):
        pass

    assert spec_of(Mine()) is None
    assert spec_of(GraphModel(Mine())) is None
    assert spec_of(nn.Dense(3)) is None


def test_numbers_of_numpy_are_numbers():
    assert json.dumps(spec_of(GCN(hidden=np.int64(16), dropout=np.float32(0.5))))


@pytest.mark.parametrize(
    "spec, message",
    [
        (None, "`model` must have the keys"),
        ("gcn", "`model` must have the keys"),
        ({"name": "gcn"}, "`model` must have the keys"),
        (GOOD | {"module": "os"}, "`model` must have the keys"),
        (GOOD | {"name": ["gcn"]}, "`model.name` must be a str"),
        (GOOD | {"settings": []}, "`model.settings` must be a dict"),
        (GOOD | {"name": "gatt"}, "`model.name`: Unknown model 'gatt'.*did you mean 'gat'"),
        (GOOD | {"name": "os.system"}, "`model.name`: Unknown model"),
        (GOOD | {"settings": {"hiden": 3}}, "`model.settings`: .*'hiden'.*did you mean 'hidden'"),
        (GOOD | {"settings": {"parent": None}}, "`model.settings`: Unknown setting"),
        (GOOD | {"settings": {"hidden": "16"}}, "`model.settings.hidden` must be of type"),
        (GOOD | {"settings": {"hidden": 1.5}}, "`model.settings.hidden` must be of type"),
        (GOOD | {"settings": {"hidden": {"name": "gcn"}}}, "`model.settings.hidden` must be"),
        (GOOD | {"settings": {"layers": 10**9}}, r"`model.settings.layers` must be in 0..65536"),
        (
            {"name": "graph-model", "settings": {"encoder": {"name": "graph-model"}}},
            "`model.settings.encoder` must have the keys",
        ),
        (
            {"name": "graph-model", "settings": {"encoder": {"name": "x", "settings": {}}}},
            "`model.settings.encoder.name`: Unknown model 'x'",
        ),
    ],
)
def test_a_file_may_say_anything(spec, message):
    with pytest.raises(ValueError, match=message):
        from_spec(spec)
