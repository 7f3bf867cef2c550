"""`degree`: Degree-Quant, training in which well-connected nodes often stay in full precision."""

from collections.abc import Callable
from functools import partial
from numbers import Real

import jax
import jax.numpy as jnp
from jax import Array

from jgc.quant.types import Nodes, Quant, Quantizer, Spec
from jgc.quant.uniform import not_output, qat
from jgc.tree import PathPredicate, is_kernel


def degree(
    bits,
    *,
    low: float = 0.0,
    high: float = 0.1,
    ranges: str = "per",
    clip_gradient: bool = True,
    symmetric_values: bool = False,
    is_quantized: PathPredicate = is_kernel,
    is_site: Callable[[str], bool] = not_output,
) -> Quantizer:
    """`qat` that protects nodes at random in training, those of high in-degree more often.

    Sums over many neighbours have the largest values and errors, and spoil gradients and ranges for
    all. In every training pass each node is protected with the probability of `protection`: at all
    sites of nodes it then passes in full precision, and its values do not move a range. Sites of
    edges or graphs protect nothing. In evaluation every node is quantised.

    Batch norm right behind a protected site sees hubs in full precision in training only, and its
    statistics then fit no evaluation. Between the two belongs a site that quantises all nodes: one
    with a mask of its own (`mask & True`), as `experiments/quant/reddit.py` has them.

    The paper's six options are `clip_gradient` ("gc", else "ste") with each of `ranges`.

    Differs: one draw serves all layers of a pass, as in the authors' code; the paper drew for every
    layer and found no major difference. Messages are mapped node values here, one a sender, so they
    follow their sender as in the code. GIN's inner linear layers, which the code leaves unprotected
    or in float, are quantised like all others.

    Args:
        bits: Width of weights and values in 2..8, traced or not.
        low: Probability of protection at the lowest in-degree, in [0, 1].
        high: That at the highest, in [low, 1].
        ranges: "per" percentiles of the unprotected values, or another of `qat`'s.
        clip_gradient: Gradient 0 where values are clipped ("gc"), else 1 ("ste"). Static.
        symmetric_values: Codes -q..q for values, else affine. Static.
        is_quantized: Which leaves are quantised, `(name, leaf) -> bool`.
        is_site: Which sites are quantised, `(path) -> bool`.

    Returns:
        The `Quantizer`; its state is that of `qat`.

    Raises:
        ValueError: as `qat`, and unless 0 <= low <= high <= 1; in training without a key.

    Example:
        >>> from jgc.quant import Place
        >>> params = {"kernel": jnp.ones((1, 1))}
        >>> nodes = Nodes(jnp.ones(3, bool), jnp.zeros(3, jnp.int32), jnp.array([1.0, 1.0, 2.0]))
        >>> quantizer = degree(2, low=0.0, high=1.0)  # probabilities 2/3, 2/3, 1
        >>> quant = quantizer.init(params, {"message": Place((3, 1), jnp.float32, True)})
        >>> one_pass = quantizer.on(nodes, jax.random.key(0))
        >>> x = jnp.array([[0.0], [3.0], [99.9]])
        >>> x, quant = one_pass.value(quant, "message", x, nodes.mask, None, True)
        >>> bool(x[2, 0] == 99.9), float(quant.sites["message"].range.hi) <= 3.0
        (True, True)

    References:
        Tailor et al., ICLR 2021, sec. 3. https://arxiv.org/abs/2008.05000
    """
    known = all(isinstance(p, Real) for p in (low, high))
    if known and not 0 <= low <= high <= 1:
        raise ValueError(
            f"`low` and `high` are probabilities, 0 <= low <= high <= 1; got {low} and {high}."
        )
    plain = qat(
        bits, ranges=ranges, clip_gradient=clip_gradient, symmetric_values=symmetric_values,
        is_quantized=is_quantized, is_site=is_site,
    )  # fmt: skip

    def on(nodes: Nodes, key: Array | None) -> Quantizer:
        if key is None:
            raise ValueError(
                "`degree` draws which nodes it protects: training needs a key, "
                '`rngs={"dropout": key}`.'
            )
        # The models' dropout folds its own numbers into the same key.
        drawn = jax.random.uniform(jax.random.fold_in(key, 0x0DE9), nodes.mask.shape)
        protected = nodes.mask & (drawn < protection(nodes, low, high))
        return plain._replace(value=partial(_value, plain.value, is_site, nodes, protected))

    return plain._replace(on=on, spec=Spec("degree", (("symmetric_values", symmetric_values),)))


def protection(nodes: Nodes, low: float = 0.0, high: float = 0.1) -> Array:
    """Probability with which each node is protected in a training pass.

    `low + (high - low) F(v)`, where F is the share of the nodes of v's graph whose in-degree is no
    larger than v's. Nodes of one in-degree share one probability.

    Args:
        nodes: Of the pass; padding lies in graphs of its own.
        low: Probability at F = 0.
        high: Probability at F = 1.

    Returns:
        float32 `[n_node]`.

    Example:
        >>> nodes = Nodes(jnp.ones(4, bool), jnp.array([0, 0, 1, 1]), jnp.array([5, 2, 2, 2]))
        >>> protection(nodes, 0.0, 1.0).tolist()
        [1.0, 0.5, 1.0, 1.0]

    References:
        Tailor et al., ICLR 2021, sec. 3.1 and code. https://arxiv.org/abs/2008.05000
    """
    in_degree = nodes.in_degree.astype(jnp.int32)
    # One integer orders nodes by graph, then by in-degree.
    span = in_degree.max(initial=0) + 1
    order = jnp.sort(nodes.graph * span + in_degree)

    def below(place):
        return jnp.searchsorted(order, place)

    first, last = below(nodes.graph * span), below((nodes.graph + 1) * span)
    share = (below(nodes.graph * span + in_degree + 1) - first) / (last - first)
    return low + (high - low) * share


def _value(
    plain, is_site, nodes: Nodes, protected: Array, quant: Quant, site: str, x, mask, key, train
) -> tuple[Array, Quant]:
    """`plain` for all but protected nodes, which pass as they are and are not observed."""
    if not (train and is_site(site) and nodes.own(mask)):
        return plain(quant, site, x, mask, key, train)
    y, quant = plain(quant, site, x, nodes.mask & ~protected, key, train)
    return jnp.where(protected.reshape(-1, *[1] * (x.ndim - 1)), x, y), quant
