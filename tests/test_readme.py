"""What the documents say is so: their code runs, their recipes parse, their names exist."""

import re
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
from typer.main import get_command

from jgc import cli, data, models, prune, quant
from jgc.study import load_recipe

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
PAGES = {path.stem: path.read_text() for path in sorted((ROOT / "docs").glob("*.md"))}
USE = README + PAGES["commands"]


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_the_python_of_the_readme_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (code,) = blocks(README, "python")
    assert sum(bool(line.strip()) for line in code.splitlines()) <= 12
    assert code.splitlines()[-1].startswith("assert ")
    exec(compile(code, "README.md", "exec"), {})
    assert (tmp_path / "small" / "model.safetensors").exists()


def test_the_method_of_contributing_prunes():
    (code,) = blocks(CONTRIBUTING, "python")
    made: dict = {}
    exec(compile(code, "CONTRIBUTING.md", "exec"), made)
    # Magnitudes 1, 2, 3, 4 have the length of 5.48, and shares up to 0.73; 0.1 and 0.1 have 0.71.
    params = {
        "a": {"kernel": jnp.array([[1.0, -2.0], [3.0, 4.0]])},
        "b": {"kernel": jnp.array([[0.1, 0.1]])},
    }
    pruner = made["share_magnitude"](0.5)
    masks = jax.jit(lambda p: pruner.update(pruner.init(p), p)[0].masks)(params)
    assert masks["a"]["kernel"].tolist() == [[False, False], [False, True]]
    assert masks["b"]["kernel"].tolist() == [[True, True]]


@pytest.mark.parametrize("page", [page for page in PAGES if "```python" in PAGES[page]])
def test_the_python_of_a_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made: dict = {}
    for code in blocks(PAGES[page], "python"):
        exec(compile(code, f"{page}.md", "exec"), made)


def test_the_recipe_of_the_pages_is_one():
    (text,) = blocks(PAGES["commands"], "toml")
    assert load_recipe(text).n_rows == 50


NAMES = [*models.MODELS, *prune.METHODS, *quant.METHODS, *data.names()]


@pytest.mark.parametrize("name", NAMES)
def test_every_name_that_users_type_is_in_the_pages(name):
    assert f"`{name}`" in PAGES["names"]


def test_every_command_is_in_the_pages_and_every_option_there_exists():
    command = get_command(cli.app)
    typed = [line.split() for text in blocks(USE, "bash") for line in re.split("\n|&&", text)]
    typed = [words[1:] for words in typed if words[:1] == ["jgc"]]
    assert {words[0] for words in typed} == set(command.commands)
    for name, *words in typed:
        inner = command.commands[name]
        if name == "data":
            inner = inner.commands[words[0]]
        known = {option for parameter in inner.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known


@pytest.mark.parametrize(
    "path",
    [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("experiments/*/README.md")],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_files_that_are_linked_exist(path):
    for target in re.findall(r"\[[^\]]*\]\((?!http)([^)]+)\)", path.read_text()):
        assert (path.parent / target).exists(), target
