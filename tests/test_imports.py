"""The floors of the house: a room imports only rooms below it, and `import jgc` stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "jgc"
FILES = sorted(ROOT.rglob("*.py"))
# Ground floor first; rooms of one floor do not know each other.
FLOORS = [
    {"native"},
    {"atomic", "graph", "tree", "topk"},
    {"data", "models", "prune", "quant"},
    {"forward"},
    {"train"},
    {"pack"},
    {"export"},
    {"study"},
    {"report"},
    {"bench", "search"},
    {"cli"},
    {"__init__", "__main__"},
]
HEIGHT = {room: height for height, rooms in enumerate(FLOORS) for room in rooms}
# Rooms that know less than what lies below them.
KNOWS = {
    "prune": {"jgc.tree", "jgc.topk"},
    "quant": {"jgc.tree", "jgc.topk"},
    "report": {"jgc.atomic", "jgc.study.rows", "jgc.study.stats", "jgc.study.store"},
}
HEAVY = [
    "matplotlib",
    "pandas",
    "torch",
    "torch_geometric",
    "rdkit",
    "networkx",
    "sklearn",
    "onnx",
    "onnxruntime",
]


def room(path):
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(path):
    """Modules named by the import statements of a file, those inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute"
            inside = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from inside if node.module == "jgc" else [node.module]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_imports_only_from_below(path):
    own = room(path)
    for module in imports(path):
        if module.startswith("jgc.") and module.split(".")[1] != own:
            assert HEIGHT[module.split(".")[1]] < HEIGHT[own], f"{own} must not know {module}"
            assert own not in KNOWS or module in KNOWS[own], f"{own} must not know {module}"
        if module.split(".")[0] == "jraph":
            assert own == "graph", f"only jgc.graph imports jraph, not {path}"


def test_every_file_has_a_floor_and_a_name_that_says_something():
    assert {room(path) for path in FILES} <= set(HEIGHT)
    vague = {"utils.py", "util.py", "helpers.py", "misc.py", "common.py"}
    assert not [path for path in FILES if path.name in vague]


@pytest.mark.parametrize("use", ["jgc", "jgc.graph, jgc.models, jgc.prune, jgc.quant, jgc.apply"])
def test_the_core_is_light(use):
    program = f"import sys, jgc; {use}; print([m for m in {HEAVY} if m in sys.modules])"
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "[]"
