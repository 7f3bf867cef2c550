"""Checked TOML tables: read with faults named by place, written back."""

import json
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from jgc.study.rows import did_you_mean


class Table(BaseModel):
    """A TOML table: frozen, no unknown keys, no NaN.

    The `description` of a field says what is allowed; it is the second half of every error about
    that key.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    # Keys that hold tables, or arrays of tables, of their own.
    tables: ClassVar[Mapping[str, type["Table"]]] = {}

    @classmethod
    def checked(cls, values: Mapping[str, Any], place: str) -> Self:
        """The table from plain values.

        Args:
            values: What `tomllib` reads.
            place: File or word that the values come from; errors start with it.

        Raises:
            ValueError: for the first fault: place, key, what it is, what is allowed.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise ValueError(f"{place}: {_sentence(cls, error.errors()[0])}") from None

    def to_toml(self) -> str:
        """The table as TOML, defaults written out and absent settings left out."""
        return "\n".join(_lines(type(self), self.model_dump(exclude_none=True), "")) + "\n"


def _sentence(root: type[Table], fault: Mapping[str, Any]) -> str:
    """One fault in the words of the file."""
    place, table, key = _place(root, fault["loc"])
    known = table.model_fields
    match fault["type"]:
        case "extra_forbidden":
            said = f"unknown key `{key[:80]}`{did_you_mean(key, known)}"
        case "missing":
            said = f"`{key}` is missing: {known[key].description}."
        case "value_error":
            said = str(fault["ctx"]["error"])
        case _:
            said = f"`{key}` is {fault['input']!r:.200}; allowed: {known[key].description}."
    return f"{place}: {said}" if place else said


def _place(root: type[Table], loc: tuple) -> tuple[str, type[Table], str]:
    """Where a fault is: `[[run]] 2, [[run.method]] 1`, the table's type, and the key in it."""
    places, path, table, key = [], [], root, ""
    rest = list(loc)
    while rest:
        key = rest.pop(0)
        if key not in table.tables:
            break  # What follows are places in a list of values.
        path.append(key)
        if rest and isinstance(rest[0], int):
            places.append(f"[[{'.'.join(path)}]] {rest.pop(0) + 1}")
        elif rest:
            places.append(f"[{'.'.join(path)}]")
        if rest:
            table = table.tables[key]
    return ", ".join(places), table, key


def _lines(table: type[Table], values: Mapping[str, Any], path: str) -> list[str]:
    """Plain keys first, then the tables, as TOML demands."""
    plain = {k: v for k, v in values.items() if k not in table.tables and v != ()}
    lines = [f"{key} = {json.dumps(value)}" for key, value in plain.items()]
    for key, child in table.tables.items():
        held, name = values.get(key) or (), f"{path}{key}"
        if isinstance(held, Mapping):
            lines += ["", f"[{name}]", *_lines(child, held, f"{name}.")]
        else:
            for item in held:
                lines += ["", f"[[{name}]]", *_lines(child, item, f"{name}.")]
    return lines
