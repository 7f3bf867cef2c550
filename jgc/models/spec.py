"""A model as plain data and back, through the table of known names and nothing else."""

from typing import Any

import flax.linen as nn

from jgc.models.heads import GraphModel
from jgc.models.table import MODELS, check_known, settings_of

_HEAD = "graph-model"
_LARGEST = 1 << 16  # No layer is wider, no stack deeper; a file that says so would take hours.
_NAMES: dict[type[nn.Module], str] = {cls: name for name, cls in MODELS.items()}


def spec_of(model: nn.Module) -> dict[str, Any] | None:
    """Says which model of this room a module is, in JSON types.

    Args:
        model: The module.

    Returns:
        `{"name": ..., "settings": {...}}`, every setting written out, so that a default may change;
        `None` for a module of one's own.

    Example:
        >>> from jgc.models import GCN
        >>> spec = spec_of(GCN(hidden=16, out=7))
        >>> spec["name"], spec["settings"]["hidden"]
        ('gcn', 16)
        >>> from_spec(spec) == GCN(hidden=16, out=7)
        True
    """
    name = _HEAD if type(model) is GraphModel else _NAMES.get(type(model))
    settings = {setting: _plain(getattr(model, setting)) for setting in settings_of(type(model))}
    if name is None or (name == _HEAD and settings["encoder"] is None):
        return None
    return {"name": name, "settings": settings}


def from_spec(spec: Any) -> nn.Module:
    """Builds the model that plain data describe; they may say anything.

    Args:
        spec: What `spec_of` gave. A setting that is left out takes its default.

    Returns:
        The model.

    Raises:
        ValueError: naming the key, for an unknown model or setting, or a value of another type.

    Example:
        >>> from_spec({"name": "gcn", "settings": {"hiden": 16}})
        Traceback (most recent call last):
            ...
        ValueError: `model.settings`: Unknown setting of gcn 'hiden': ...did you mean 'hidden'?
    """
    return _built(spec, "model", {**MODELS, _HEAD: GraphModel})


def _built(spec: Any, place: str, table: dict[str, type[nn.Module]]) -> nn.Module:
    name, settings = _parts(spec, place)
    try:
        check_known("model", name, list(table))
        types = settings_of(table[name])
        for setting in settings:
            check_known(f"setting of {name}", setting, list(types))
    except ValueError as error:
        raise ValueError(f"`{place}.{'settings' if name in table else 'name'}`: {error}") from None
    checked = {
        setting: _value(value, f"{place}.settings.{setting}", types[setting])
        for setting, value in settings.items()
    }
    return table[name](**checked)


def _parts(spec: Any, place: str) -> tuple[str, dict[str, Any]]:
    keys = {"name": str, "settings": dict}
    if not isinstance(spec, dict) or set(spec) != set(keys):
        raise ValueError(f"`{place}` must have the keys {list(keys)}, got {str(spec)[:80]}.")
    for key, kind in keys.items():
        if not isinstance(spec[key], kind):
            raise ValueError(f"`{place}.{key}` must be a {kind.__name__}, got {spec[key]!r:.80}.")
    return spec["name"], spec["settings"]


def _value(value: Any, place: str, kind: Any) -> Any:
    if kind is nn.Module:
        return _built(value, place, MODELS)  # A head's encoder has no head of its own.
    if not isinstance(value, kind | int if kind is float else kind):
        raise ValueError(f"`{place}` must be of type {kind}, got {value!r:.80}.")
    if isinstance(value, int) and not 0 <= value <= _LARGEST:
        raise ValueError(f"`{place}` must be in 0..{_LARGEST}, got {value}.")
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, nn.Module):
        return spec_of(value)
    return value.item() if hasattr(value, "item") else value  # A number of numpy's.
