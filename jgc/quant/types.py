"""The types of quantisation: a bundle of pure functions and what passes between them."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from jax import Array

from jgc.quant.grid import Grid
from jgc.quant.ranges import RangeState

Params = Any  # a pytree of arrays


class Site(NamedTuple):
    """What is known of the values at one site of a model.

    Attributes:
        range: Range of the real values seen so far.
        bits: Width of their codes, int32 `[]`.

    Example:
        >>> import jax.numpy as jnp
        >>> from jgc.quant.ranges import no_range
        >>> int(Site(no_range(), jnp.int32(8)).bits)
        8
    """

    range: RangeState
    bits: Array


class Place(NamedTuple):
    """What is known of a site before the first value; `jgc.sites` finds them.

    Attributes:
        shape: Of its values.
        dtype: Of its values.
        of_nodes: Its rows are the nodes of the graph, and not edges, graphs or stored entries.
        n_graph: Graphs in the batch it was met in; of a single graph the nodes are always the same.

    Example:
        >>> Place((2708, 16), "float32", of_nodes=True).n_graph
        1
    """

    shape: tuple[int, ...]
    dtype: Any
    of_nodes: bool = False
    n_graph: int = 1


class Nodes(NamedTuple):
    """The nodes of one forward pass, as far as a quantiser may know them.

    Attributes:
        mask: True for real nodes, bool `[n_node]`.
        graph: Graph of each node, int32 `[n_node]`.
        in_degree: Number of incoming edges, `[n_node]`.

    Example:
        >>> import jax.numpy as jnp
        >>> Nodes(jnp.ones(2, bool), jnp.zeros(2, int), jnp.array([0.0, 3.0])).in_degree.tolist()
        [0.0, 3.0]
    """

    mask: Array
    graph: Array
    in_degree: Array

    def own(self, mask: Array | None) -> bool:
        """Whether a site's mask is the nodes' own, so that its rows are nodes.

        By identity, not by shape: a graph may have as many edges as nodes.

        Example:
            >>> import jax.numpy as jnp
            >>> nodes = Nodes(jnp.ones(2, bool), jnp.zeros(2, int), jnp.ones(2))
            >>> nodes.own(nodes.mask), nodes.own(jnp.ones(2, bool))
            (True, False)
        """
        return mask is self.mask


class Quant(NamedTuple):
    """Everything of a quantiser that changes or differs between lanes; arrays only.

    Attributes:
        weights: For each quantised leaf, by name, what its grid needs: its bits, int32 `[]`.
        sites: For each quantised site, by path, its `Site`, or what a quantiser has learned of it.

    Example:
        >>> import jax.numpy as jnp
        >>> from jgc.quant import qat
        >>> quant = qat(4).init({"kernel": jnp.ones((1, 1))}, {"input": Place((1, 1), "float32")})
        >>> {name: int(bits) for name, bits in quant.weights.items()}, list(quant.sites)
        ({'kernel': 4}, ['input'])
    """

    weights: dict[str, Any]
    sites: dict[str, Any]


class InitFn(Protocol):
    """Starts a quantiser."""

    def __call__(self, params: Params, sites: Mapping[str, Any]) -> Quant:
        """The state before the first value; `sites` are the model's `Place`s, by path."""
        ...


class WeightFn(Protocol):
    """Quantises weights."""

    def __call__(self, quant: Quant, params: Params) -> Params:
        """A fake-quantised copy; hand over masked parameters, zeros stay zero."""
        ...


class ValueFn(Protocol):
    """Quantises the values at a site."""

    def __call__(
        self,
        quant: Quant,
        site: str,
        x: Array,
        mask: Array | None,
        key: Array | None,
        train: bool,
    ) -> tuple[Array, Quant]:
        """Fake-quantised values `[n, ...]` and the quantiser with its ranges brought up to date.

        `mask` is bool `[n]`, True = real. `train` is static.
        """
        ...


class CostFn(Protocol):
    """What the quantiser adds to the loss."""

    def __call__(self, quant: Quant) -> Array:
        """Float32 `[]`, for instance the memory penalty of learned bits."""
        ...


class GridsFn(Protocol):
    """The grids of the weights, for packing."""

    def __call__(self, quant: Quant, params: Params) -> dict[str, Grid]:
        """The grid of every quantised leaf by name; `weight` is `fake_quant` over them."""
        ...


class ByteGrid(NamedTuple):
    """The grid of a site's values as unsigned codes, `(code - zero) * step`.

    Attributes:
        step: Float32 `[]` > 0; or `[n, 1]`, one for each row of the values.
        zero: Code of 0, int32 `[]` in 0..`top`, or as `step`.
        top: Largest code, int32, as `zero`; the smallest is 0.
    """

    step: Array
    zero: Array
    top: Array


class ByteGridFn(Protocol):
    """Which grid a site's values lie on once training is over."""

    def __call__(self, quant: Quant, site: str) -> ByteGrid | None:
        """`None` where values stay float, or have no single grid that is known beforehand."""
        ...


class RowGridFn(Protocol):
    """Which grid each node's values lie on once training is over."""

    def __call__(self, quant: Quant, site: str, x: Array, mask: Array | None) -> ByteGrid | None:
        """One grid a row of `x`, `[n, width]`; `None` where the site has none of its own."""
        ...


class OnFn(Protocol):
    """Tells a quantiser of the nodes of one training pass."""

    def __call__(self, nodes: Nodes, key: Array | None) -> "Quantizer":
        """The same quantiser, its `value` for this pass; called once, before the first site."""
        ...


class RatesFn(Protocol):
    """Which leaves of `Quant` are trained, and how fast."""

    def __call__(self, quant: Quant) -> dict[str, Array]:
        """Learning rate by name (`jgc.tree.named_leaves`), broadcastable to the leaf."""
        ...


class StoredFn(Protocol):
    """What a file needs of the sites."""

    def __call__(self, quant: Quant) -> dict[str, Any]:
        """As `quant.sites`, in the narrowest dtypes that evaluate to the same bits."""
        ...


class UnpackFn(Protocol):
    """The sites again, from what a file holds of them."""

    def __call__(self, stored: Mapping[str, Any], kinds: Mapping[str, type], /) -> dict[str, Any]:
        """Undoes `stored`; `kinds` are the types of the states of the sites, by path."""
        ...


class Spec(NamedTuple):
    """Which quantiser of this room one is.

    Attributes:
        name: In `jgc.quant.METHODS`.
        settings: Those that evaluation depends on, and their values, true or false.
    """

    name: str
    settings: tuple[tuple[str, bool], ...] = ()


class Quantizer(NamedTuple):
    """A bundle of pure functions; every setting was fixed when it was built.

    Attributes:
        init: `(params, sites) -> Quant`.
        weight: `(quant, params) -> params`, fake-quantised.
        value: `(quant, site, x, mask, key, train) -> (x, quant)`.
        cost: `(quant) -> []`.
        grids: `(quant, params) -> {name: Grid}`.
        symmetric_weights: Whether the grids' codes are -q..q; needed to pack them.
        on: `(nodes, key) -> Quantizer`, where training depends on the graph; else `None`.
        rates: `(quant) -> {name: rate}` of the leaves that descend on the loss; `None`: there are
            none.
        stored: `(quant) -> sites` for packing; `None`: `quant.sites` as they are.
        byte_grid: `(quant, site) -> ByteGrid`, for running in integers; `None`: in float only.
        row_grid: `(quant, site, x, mask) -> ByteGrid` of sites whose nodes have grids of their own;
            `None`: there are none.
        unpack: `(stored, kinds) -> sites`, undoes `stored`.
        spec: What a file says that it is; `None`: no file can say so.

    Example:
        >>> import jax.numpy as jnp
        >>> from jgc.quant import qat
        >>> params, four = {"kernel": jnp.array([[7.0], [-2.6]])}, qat(4)
        >>> four.weight(four.init(params, {}), params)["kernel"].tolist()
        [[7.0], [-3.0]]
    """

    init: InitFn
    weight: WeightFn
    value: ValueFn
    cost: CostFn
    grids: GridsFn
    symmetric_weights: bool
    on: OnFn | None = None
    rates: RatesFn | None = None
    stored: StoredFn | None = None
    byte_grid: ByteGridFn | None = None
    row_grid: RowGridFn | None = None
    unpack: UnpackFn | None = None
    spec: Spec | None = None
