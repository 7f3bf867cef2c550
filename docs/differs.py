"""Writes `differs.md`: the papers behind every name, and where it differs, from the docstrings.

python docs/differs.py
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
HEAD = """# Names, their papers, and where we differ

Made from the docstrings by `python docs/differs.py`; a test keeps it so. *Differs* also
says where jgc parts from a peer.
"""


def page() -> str:
    """The whole page."""
    text = [HEAD]
    for room in sorted(path for path in (ROOT / "jgc").iterdir() if path.is_dir()):
        entries = [entry for file in sorted(room.rglob("*.py")) for entry in entries_of(file)]
        if entries:
            text.append(f"\n## jgc.{room.name}\n\n" + "\n".join(entries) + "\n")
    return "".join(text)


def entries_of(file: Path) -> Iterator[str]:
    """A line for each docstring or comment that names a source or a difference."""
    kinds, text = (ast.Module, ast.ClassDef, ast.FunctionDef), file.read_text()
    for node in ast.walk(ast.parse(text)):
        said = (ast.get_docstring(node) or "") if isinstance(node, kinds) else ""
        source, differs = _section(said), _differs(said)
        if source or differs:
            name = getattr(node, "name", file.stem)
            yield " ".join([f"- **`{name}`**", *source, *differs])
    for block in re.findall(r"(?:^ *#.*\n)+", text, re.MULTILINE):
        differs = _differs(re.sub(r"^ *# ?", "", block, flags=re.MULTILINE))
        if differs:
            yield " ".join([f"- **{file.relative_to(ROOT / 'jgc')}**, in a comment:", *differs])


def _section(said: str) -> list[str]:
    found = re.search(r"References:\n((?: {4}.*\n?|\n(?= {4}))*)", said)
    return [_line(found[1].split("Differs:")[0])] if found else []


def _differs(said: str) -> list[str]:
    """All differences, each up to the next blank line or section."""
    found = re.findall(r"Differs:((?:.|\n(?! *\n| *[A-Z]\w+:\n| *Differs:))*)", said)
    return [f"*Differs:* {_line(text)}" for text in found]


def _line(text: str) -> str:
    text = re.sub(
        r"(?<!/)\barXiv (\d{4}\.\d{4,5})", r"https://arxiv.org/abs/\1", " ".join(text.split())
    )
    return re.sub(
        r"<?https://arxiv.org/abs/(\d{4}\.\d{4,5})>?", r"[arXiv \1](https://arxiv.org/abs/\1)", text
    )


if __name__ == "__main__":
    (ROOT / "docs" / "differs.md").write_text(page())
