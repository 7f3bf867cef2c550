import re

import pytest
from pydantic import ValidationError

from jgc.report.paper import published
from jgc.study import method
from jgc.study.method import Level, parse_method, parse_quantizer
from jgc.study.recipe import load_recipe, named_recipe, recipe_names

TEXT = """
name = "cora"
seeds = 4
[[run]]
dataset = "cora"
model = "gat"
[[run.method]]
name = "dense"
[[run]]
dataset = "cora"
task = "link"
model = "gcn"
[run.settings]
hidden = 16
dropout = 0
[[run.method]]
name = "global"
sparsity = [0.5, 0.9]
[[run.method]]
name = "global+qat"
sparsity = 0.9
bits = [8, 4]
"""

# What is replaced, by what, and what the error says.
FAULTS = [
    ("sparsity = [", "sparsty = [", "[[run]] 2, [[run.method]] 1: unknown key `sparsty`, did you"),
    ("sparsity = 0.9", "sparsty = 0.9", "unknown key `sparsty`, did you mean `sparsity`?"),
    ("hidden", "hiden", "[[run]] 2, [run.settings]: unknown key `hiden`, did you mean `hidden`?"),
    ("seeds = 4", "seed = 4", "unknown key `seed`, did you mean `seeds`?"),
    ("0.9]", "1.2]", "`sparsity` is 1.2; allowed: a fraction in [0, 1]"),
    ("[8, 4]", "1", "[[run.method]] 2: `bits` is 1; allowed: a whole number in 2..8"),
    ("[8, 4]", "[8, 9]", "`bits` is 9; allowed: a whole number in 2..8"),
    ("[8, 4]", "true", "`bits` is True; allowed: a whole number in 2..8"),
    ("[8, 4]", '"8"', "`bits` is '8'; allowed"),
    ("seeds = 4", "seeds = 0", "`seeds` is 0; allowed: a whole number in 1..1000"),
    ("seeds = 4", "seeds = 1001", "`seeds` is 1001"),
    ("hidden = 16", "hidden = 0", "`hidden` is 0; allowed: a whole number >= 1"),
    ("dropout = 0", "dropout = 1", "`dropout` is 1; allowed: a rate in [0, 1)"),
    ("dropout = 0", "learning_rate = nan", "`learning_rate` is nan; allowed: a number > 0"),
    ("dropout = 0", "rate_decay = 1.5", "`rate_decay` is 1.5; allowed: a factor an epoch"),
    ("dropout = 0", 'rate_decay = "linear"', "or \"cosine\""),
    ("dropout = 0", 'rule = "lion"', "`rule` is 'lion'; allowed: \"adam\" or \"sgd\""),
    ("dropout = 0", 'readout = "min"', "`readout` is 'min'; allowed: \"sum\", \"mean\" or \"max\""),
    ('task = "link"', 'task = "edge"', "`task` is 'edge'; allowed"),
    ('model = "gat"', "", "[[run]] 1: `model` is missing"),
    ('name = "dense"', 'name = "dense"\nbits = 8', "method `dense` takes no `bits`"),
    ("[0.5, 0.9]", "[0.5, 0.9, 0.7]", "`sparsity` is a list out of order; write [0.5, 0.7, 0.9]"),
    ("[0.5, 0.9]", "[0.5, 0.5]", "`sparsity` is a list out of order"),
    ("[8, 4]", '[8, 4]\nafter = "rest"', "`after` is 'rest'; allowed: \"finetune\", \"none\""),
    ('name = "dense"', 'name = "dense"\nafter = "none"', "method `dense` takes no `after`"),
    ('name = "dense"', 'name = "l2"', "method `l2` needs `l2`: a number >= 0 or a list of them"),
    ("[0.5, 0.9]", '0.5\nranges = "abs"', "method `global` takes no `ranges`"),
    ("sparsity = 0.9", "", "method `global+qat` needs `sparsity`"),
    ('"global+qat"', '"qat+global"', "unknown method `qat`"),
    ('"global"', '"gobal"', "unknown method `gobal`, did you mean `global`?"),
    ('name = "cora"', 'name = "../x"', "`name` is '../x'; allowed: letters, digits"),
    ("seeds = 4", "seeds =", "not TOML"),
]  # fmt: skip


def test_levels_and_rows():
    recipe = load_recipe(TEXT)
    assert recipe.run[0].method[0].levels == (Level(),)
    assert recipe.run[1].method[0].levels == (Level(0.5), Level(0.9))
    assert recipe.run[1].method[1].levels == (Level(0.9, 8), Level(0.9, 4))
    assert recipe.n_rows == 4 * (1 + 2 + 2)
    assert recipe.run[1].settings.hidden == 16 and recipe.run[1].settings.epochs is None


@pytest.mark.parametrize("old, new, message", FAULTS)
def test_faults_name_place_key_value_and_what_is_allowed(tmp_path, old, new, message):
    assert old in TEXT
    path = tmp_path / "study.toml"
    path.write_text(TEXT.replace(old, new, 1))
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        load_recipe(path)
    assert str(error.value).startswith(f"{path}: ")
    assert not isinstance(error.value, ValidationError)


@pytest.mark.parametrize("run", ["3", "[1]", "[]", "[{settings = 1}]", "[{method = 1}]"])
def test_wrong_shapes_are_errors_too(run):
    with pytest.raises(ValueError, match="recipe: .*(run|settings|method|dataset)"):
        load_recipe(f'name = "a"\nrun = {run}\n')


def test_a_file_that_is_no_text_is_an_error(tmp_path):
    (tmp_path / "x.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="not TOML"):
        load_recipe(tmp_path / "x.toml")


def test_toml_round_trip_and_frozen():
    recipe = load_recipe(TEXT)
    assert load_recipe(recipe.to_toml()) == recipe
    assert "\nseeds = 10\n" in load_recipe(TEXT.replace("seeds = 4", "")).to_toml()
    with pytest.raises(ValidationError):
        recipe.seeds = 3
    assert recipe.with_seeds(7).seeds == 7 and recipe.with_seeds(7).run == recipe.run
    with pytest.raises(ValueError, match="`seeds` is 0"):
        recipe.with_seeds(0)


@pytest.mark.parametrize("name", recipe_names())
def test_shipped_recipes_load_and_carry_their_own_name(name):
    recipe = named_recipe(name)
    assert recipe.name == name and load_recipe(recipe.to_toml()) == recipe


def test_unknown_name_suggests_the_nearest():
    with pytest.raises(ValueError, match="`quikstart`, did you mean `quickstart`"):
        named_recipe("quikstart")


@pytest.mark.parametrize(
    "parse, text, message",
    [
        (parse_method, "global", "method `global` needs `sparsity`"),
        (parse_method, "global:half", "`global:half` is not NAME:SPARSITY, such as `global:0.5`"),
        (parse_method, "global:1.2", "`sparsity` is 1.2; allowed: a fraction"),
        (parse_method, "glob:0.5", "unknown method `glob`, did you mean `global`"),
        (parse_method, "qat:0.5", "method `qat` takes no `sparsity`"),
        (parse_quantizer, "qat:9", "`bits` is 9; allowed: a whole number in 2..8"),
        (parse_quantizer, "qat:8.5", "not NAME:BITS, such as `qat:8`"),
        (parse_quantizer, "global:8", "method `global` takes no `bits`"),
        (parse_quantizer, ":", "not NAME:BITS"),
    ],
)
def test_words_of_the_command_line(parse, text, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        parse(text)


def test_a_method_takes_what_its_factory_takes():
    assert method._takes("dense") == frozenset() and method._takes("l2") == {"l2"}
    assert method._takes("random") == method._takes("n:m") == {"sparsity", "after", "stored"}
    assert method._takes("qat") == {"bits", "ranges", "gradient", "bits_values"}
    assert method._takes("degree") == {"bits", "ranges", "gradient"}
    assert method._takes("random+qat") == {"sparsity", "after"} | method._takes("qat")
    assert parse_method("n:m:0.5").name == "n:m"


def test_a_part_of_a_recipe_by_words():
    recipe = load_recipe(TEXT)
    part = recipe.only("cora link global")
    assert [run.model for run in part.run] == ["gcn"] and part.n_rows == 4 * 2
    assert [m.label for m in part.run[0].method] == ["global"]
    assert recipe.only("cora").n_rows == recipe.n_rows
    with pytest.raises(ValueError, match="`--only pubmed` leaves nothing of: cora gat dense; cora"):
        recipe.only("pubmed")


def test_the_paper_recipe_has_every_level_of_the_paper():
    """What `jgc report` can put beside arXiv 2510.22058, the two models not built yet left out."""
    recipe = named_recipe("paper-2510.22058")
    said = {
        (run.dataset, run.model, method.label, key, amount)
        for run in recipe.run
        for method in run.method
        for key in ("sparsity", "bits", "l2")
        for amount in getattr(method, key) or (None,)
    }
    for cell in published("2510.22058"):
        if cell.row["model"] in ("walkpool", "ssp"):
            continue
        method, level = cell.row["method"], cell.level
        if level.get("sparsity") == 0:
            method, level = "dense", {}
        elif method == "a2q":
            level = {"bits": 4}  # Where its widths start.
        amount = next(iter(level.items()), ("sparsity", None))
        assert (cell.row["dataset"], cell.row["model"], method, *amount) in said


DEEP = ["a = " + "[" * 50_000, "a = " + "{a=" * 50_000, "a" + ".a" * 50_000 + " = 1",
        "[a" + ".a" * 50_000 + "]", "b = {a" + ".a" * 50_000 + " = 1}"]  # fmt: skip


@pytest.mark.parametrize("text", DEEP, ids=range(5))
def test_toml_too_deep_for_any_reader(tmp_path, text):
    (tmp_path / "deep.toml").write_text(text)
    with pytest.raises(ValueError, match="deep.toml: ") as error:
        load_recipe(tmp_path / "deep.toml")
    assert len(str(error.value)) < 1000
