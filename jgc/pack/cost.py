"""Operations a network takes, computed from shapes and never measured: MACs and BOPs."""

from collections.abc import Iterable
from typing import NamedTuple


class Operation(NamedTuple):
    """One product of a layer's weights with values, for one forward pass.

    Attributes:
        kind: `"linear"` (a weight matrix) or `"aggregate"` (a sum over edges).
        rows: How often the weights are applied: nodes for a linear layer, edges for an aggregation.
        d_in: Values in. 1 for an aggregation, which multiplies each value by its edge's weight.
        d_out: Values out.
        kept: Weights that are not pruned, 0..d_in * d_out.
        bits_w: Bits of a weight.
        bits_x: Bits of a value.

    Example:
        >>> linear(10, 4, 2).kept
        8
    """

    kind: str
    rows: int
    d_in: int
    d_out: int
    kept: int
    bits_w: int = 32
    bits_x: int = 32

    @property
    def macs_dense(self) -> int:
        """Multiply-accumulates with no weight skipped, `rows * d_in * d_out`."""
        return self.rows * self.d_in * self.d_out

    @property
    def macs(self) -> int:
        """Multiply-accumulates with pruned weights skipped, `rows * kept`."""
        return self.rows * self.kept

    @property
    def bops(self) -> int:
        """Bit operations, `macs * bits_w * bits_x`."""
        return self.macs * self.bits_w * self.bits_x


class Cost(NamedTuple):
    """Computed totals of a network, one forward pass.

    Attributes:
        macs_dense: Multiply-accumulates with no weight skipped.
        macs: Multiply-accumulates with pruned weights skipped.
        bops: Bit operations with pruned weights skipped.

    Example:
        >>> total([linear(10, 4, 2, density=0.625)])
        Cost(macs_dense=80, macs=50, bops=51200)
    """

    macs_dense: int
    macs: int
    bops: int


def linear(
    rows: int, d_in: int, d_out: int, *, density: float = 1.0, bits_w: int = 32, bits_x: int = 32
) -> Operation:
    """A weight matrix `[d_in, d_out]` applied to `rows` nodes (or edges, or graphs).

    Args:
        rows: Real nodes, padding not counted.
        d_in: Values in. Zeros of sparse features count: this is the product as papers count it.
        d_out: Values out.
        density: Fraction of the weights that is kept, in [0, 1].
        bits_w: Bits of a weight; 32 where it is not quantised.
        bits_x: Bits of a value; 32 where it is not quantised.

    Returns:
        The operation, with `round(density * d_in * d_out)` weights kept.

    Raises:
        ValueError: if `density` is outside [0, 1].

    Example:
        >>> linear(10, 4, 3, density=0.5, bits_w=8)
        Operation(kind='linear', rows=10, d_in=4, d_out=3, kept=6, bits_w=8, bits_x=32)
    """
    if not 0 <= density <= 1:
        raise ValueError(f"`density` is a fraction in [0, 1], got {density}.")
    kept = round(density * d_in * d_out)
    return Operation("linear", rows, d_in, d_out, kept, bits_w, bits_x)


def aggregate(n_edge: int, d: int, *, bits_w: int = 32, bits_x: int = 32) -> Operation:
    """A weighted sum of `d` values over each of `n_edge` incoming edges, self loops included.

    Args:
        n_edge: Real edges, padding not counted.
        d: Values of a message.
        bits_w: Bits of an edge's weight; 1 where all edges weigh the same.
        bits_x: Bits of a message.

    Returns:
        The operation.

    Example:
        >>> aggregate(20, 3, bits_x=8)
        Operation(kind='aggregate', rows=20, d_in=1, d_out=3, kept=3, bits_w=32, bits_x=8)
    """
    return Operation("aggregate", n_edge, 1, d, d, bits_w, bits_x)


def total(operations: Iterable[Operation]) -> Cost:
    r"""Adds up a network: $\mathrm{BOPs} = \sum_l \mathrm{MACs}_l\, b^w_l\, b^x_l$.

    Biases, norms and activations are not counted, as is usual.

    Args:
        operations: The network, one entry a product.

    Returns:
        The computed totals.

    Example:
        Cora's GCN(16), half of the first layer pruned, all in 8 bits, aggregation in float:

        >>> gcn = [linear(2708, 1433, 16, density=0.5, bits_w=8, bits_x=8), aggregate(13264, 16),
        ...        linear(2708, 16, 7, bits_w=8, bits_x=8), aggregate(13264, 7)]
        >>> total(gcn)
        Cost(macs_dense=62697392, macs=31652880, bops=2318653440)

    References:
        van Baalen et al., Bayesian Bits, NeurIPS 2020, sec. 4. https://arxiv.org/abs/2005.07093
        Differs: pruned weights are skipped one by one, not only whole channels.
    """
    operations = tuple(operations)
    return Cost(
        macs_dense=sum(each.macs_dense for each in operations),
        macs=sum(each.macs for each in operations),
        bops=sum(each.bops for each in operations),
    )
