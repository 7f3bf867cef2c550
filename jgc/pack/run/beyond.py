"""Values that lie far outside the ranges that training saw: they are clipped, and it is said."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jgc.pack.restore import Restored
from jgc.pack.run.runtime import float_forward
from jgc.pack.run.work import Work
from jgc.quant import Groups, Quant, Quantizer, Site
from jgc.quant.learned import ends_of

# Training itself leaves the largest values out of a range: words of Cora and sums of GIN over
# PROTEINS reach up to 4 ranges beyond it.
FAR = 8.0


def warn_beyond(restored: Restored, work: Work) -> None:
    """Warns of sites where values lie further beyond a static range than `FAR` times its width.

    They are clipped to its ends, as all values beyond a range are, in training too. The grids of
    single nodes are no such range: their graph is the one of training.

    Args:
        restored: From `jgc.pack.restore`.
        work: What it is to be run on.
    """
    if restored.quant is None or restored.quantizer is None:
        return
    for site, (n_far, n) in count_beyond(restored, work).items():
        state = restored.quant.sites[site]
        if n and not _is_seen(state):
            _warn(f"site {site!r} saw no value in training: its range is that of these values.")
        elif n_far:
            lo, hi = _ends(state)
            _warn(
                f"site {site!r}: {n_far} of {n} values lie far outside {lo:.3g}..{hi:.3g}, the "
                "range that training saw, and are clipped to it. Are the features scaled as they "
                "were in training?"
            )


def count_beyond(restored: Restored, work: Work) -> dict[str, np.ndarray]:
    """Values far beyond the range of their site, and all real ones, int `[2]` by site."""
    quantizer, quant = restored.quantizer, restored.quant
    assert quantizer is not None and quant is not None

    def counted(state, arrays):
        def forward(graph, layout):
            found: dict[str, Array] = {}
            watched = restored._replace(quantizer=_watched(quantizer, found))
            float_forward(watched)[1](state)(graph, layout)
            return found

        return work.run(forward, arrays)

    counts = jax.jit(counted)((restored.variables, quant), work.arrays)
    return {site: np.asarray(n).reshape(-1, 2).sum(0) for site, n in counts.items()}


def _watched(quantizer: Quantizer, found: dict[str, Array]) -> Quantizer:
    """The same quantiser, which also counts what it is handed."""

    def value(quant: Quant, site: str, x, mask, key, train: bool):
        state = quant.sites.get(site)
        if isinstance(state, Site | Groups):
            found[site] = found.get(site, 0) + _counts(*_ends(state), x, mask)
        return quantizer.value(quant, site, x, mask, key, train)

    return quantizer._replace(value=value)


def _counts(lo: Array, hi: Array, x: Array, mask: Array) -> Array:
    real = jnp.broadcast_to(mask.reshape(-1, *[1] * (x.ndim - 1)), x.shape)
    far = jnp.maximum(x - hi, lo - x) > FAR * (hi - lo)
    return jnp.stack([(real & far).sum(), real.sum()])


def _ends(state: Site | Groups) -> tuple[Array, Array]:
    """The range of all grids of a site together; 0 is always inside."""
    if isinstance(state, Site):
        return jnp.minimum(state.range.lo, 0), jnp.maximum(state.range.hi, 0)
    hi = ends_of(state).max()
    return jnp.where(state.signed, -hi, 0.0), hi


def _is_seen(state: Site | Groups) -> bool:
    return bool((state.range if isinstance(state, Site) else state).count)


def _warn(sentence: str) -> None:
    warnings.warn(sentence, stacklevel=4)
