"""A trained quantiser as plain data and arrays, and back, through the table of known names."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jgc.quant.grid import Grid
from jgc.quant.learned import Groups, Learned
from jgc.quant.methods import METHODS
from jgc.quant.types import Params, Quant, Quantizer, Site

# What a site may hold, by the word that files have for it.
KINDS: dict[str, type] = {"range": Site, "nodes": Learned, "groups": Groups}


def spec_of(quantizer: Quantizer, quant: Quant) -> dict[str, Any] | None:
    """Says what a trained quantiser is, in JSON types; its arrays are `stored`.

    Args:
        quantizer: From this room.
        quant: Its state.

    Returns:
        Name, settings, and the paths of the quantised sites by what each holds: `"range"`, or
        learned grids of `"nodes"` or `"groups"`. `None` for a quantiser of one's own.

    Example:
        >>> from jgc.quant import Place, qat
        >>> import jax.numpy as jnp
        >>> quantizer, place = qat(8), Place((1, 1), jnp.float32)
        >>> quant = quantizer.init({"kernel": jnp.ones((1, 1))}, {"input": place, "output": place})
        >>> spec_of(quantizer, quant)["sites"]
        {'range': ['input']}
    """
    if quantizer.spec is None or quantizer.unpack is None:
        return None
    sites = {
        word: sorted(site for site, state in quant.sites.items() if type(state) is kind)
        for word, kind in KINDS.items()
    }
    name, settings = quantizer.spec
    held = {word: names for word, names in sites.items() if names}
    return {"name": name, **dict(settings), "sites": held}


def from_spec(
    spec: Any, stored: Mapping[str, Any], grids: Mapping[str, Grid]
) -> tuple[Quantizer, Quant]:
    """Builds the quantiser that a file describes, for evaluation.

    Weights were rounded when they were packed and are taken as they are: a second rounding would
    find another grid, since the largest weight times its own step's inverse is not always whole.

    Args:
        spec: What `spec_of` gave; may say anything.
        stored: The sites as a file holds them.
        grids: Of the weights.

    Returns:
        The quantiser and its state.

    Raises:
        ValueError: naming the key, for an unknown name, setting or site's kind, or arrays that do
            not fit.

    Example:
        >>> from_spec({"name": "qat", "bit": 8, "sites": {}}, {}, {})
        Traceback (most recent call last):
            ...
        ValueError: `quantizer`: unknown key 'bit', known are ['symmetric_weights', ...].
    """
    if not isinstance(spec, dict) or spec.get("name") not in list(METHODS):
        raise ValueError(f"`quantizer.name` must be one of {list(METHODS)}, got {str(spec)[:80]}.")
    kinds = _kinds(spec.get("sites"))
    settings = {key: value for key, value in spec.items() if key not in ("name", "sites")}
    told = METHODS[spec["name"]](8).spec
    known = dict(told.settings if told else ())
    for key, value in settings.items():
        if key not in known:
            raise ValueError(f"`quantizer`: unknown key {key!r}, known are {[*known, 'sites']}.")
        if type(value) is not bool:
            raise ValueError(f"`quantizer.{key}` must be true or false, got {value!r:.80}.")
    built = METHODS[spec["name"]](8, is_site=kinds.__contains__, **settings)
    assert built.unpack is not None
    sites = built.unpack(stored, kinds)
    for site, state in sites.items():
        _check_state(site, state)
    return rounded(built), Quant(dict(grids), sites)


def rounded(quantizer: Quantizer) -> Quantizer:
    """The quantiser for weights that lie on their grids already, which `Quant.weights` holds.

    Example:
        >>> from jgc.quant import qat
        >>> rounded(qat(8)).weight(Quant({}, {}), {"kernel": 0.3})
        {'kernel': 0.3}
    """
    return quantizer._replace(weight=_as_they_are, grids=_held)


def _as_they_are(quant: Quant, params: Params) -> Params:
    del quant
    return params


def _held(quant: Quant, params: Params) -> dict[str, Grid]:
    del params
    return quant.weights


def _kinds(sites: Any) -> dict[str, type]:
    if not isinstance(sites, dict) or not all(_is_names(held) for held in sites.values()):
        raise ValueError(
            f"`quantizer.sites` must be lists of paths by kind, got {str(sites)[:80]}."
        )
    if unknown := set(sites) - set(KINDS):
        raise ValueError(f"`quantizer.sites` has {sorted(unknown)}, known are {list(KINDS)}.")
    return {site: KINDS[word] for word, held in sites.items() for site in held}


def _is_names(held: Any) -> bool:
    return isinstance(held, list) and all(isinstance(name, str) for name in held)


def _check_state(site: str, state: Any) -> None:
    """No number of a file may make wrong ones without a word."""
    if isinstance(state, Site):
        fits = {np.shape(state.bits), np.shape(state.range.lo), np.shape(state.range.hi)} == {()}
        fits = fits and 2 <= state.bits <= 8 and np.isfinite([state.range.lo, state.range.hi]).all()
    else:
        fits = len({np.shape(a) for a in (state.step, state.bits, state.share)}) == 1
        fits = fits and state.step.ndim == 1 and np.isfinite(state.step).all()
        fits = fits and np.isfinite(np.asarray(state.bits, np.float32)).all()
    if not fits:
        raise ValueError(f"the state of site {site!r} is no {type(state).__name__}: {state}.")
