"""The best-scored nodes of every graph of a batch, in a smaller batch of static size."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from jgc.graph.layout import Layout
from jgc.graph.structure import Structure, members, owners


class Selection(NamedTuple):
    """Which nodes of a batch fill the slots of a smaller one.

    Attributes:
        nodes: The node of each slot, int32 `[n_slot]`; `n_node`, one beyond the last, where no node
            fills it.
        slots: The slot of each node, int32 `[n_node]`; `n_slot` where it has none.

    Example:
        >>> chosen = Selection(nodes=jnp.array([2, 0]), slots=jnp.array([1, 2, 0]))
        >>> jnp.array([10, 11, 12])[chosen.nodes].tolist()
        [12, 10]
    """

    nodes: Array
    slots: Array

    def rows(self, x: Array) -> Array:
        """Moves rows to their slots: `[n_node, ...] -> [n_slot, ...]`, 0 in slots without node.

        Example:
            >>> Selection(jnp.array([2, 0]), jnp.array([1, 2, 0])).rows(jnp.arange(3.0)).tolist()
            [2.0, 0.0]
        """
        return _moved(x, self.nodes, self.slots)


def top_nodes(scores: Array, layout: Layout, ratio: float) -> tuple[Selection, Layout]:
    """Keeps `ceil(ratio * n)` nodes of every graph of `n` nodes, those of the largest scores.

    Args:
        scores: One a node, `[n_node]`, no NaN. Equal scores: the lower index is kept.
        layout: Of the batch.
        ratio: Share of the nodes that stay, in `(0, 1]`. Static.

    Returns:
        `(selection, kept)`: who is where, and the `Layout` of the slots, without edges and with one
        graph more, to which the slots belong that no node fills. Their number follows from the size
        of the batch alone. Slots lie in the order of their graphs, best scores first.

    Raises:
        ValueError: if `ratio` is outside `(0, 1]`.

    Example:
        >>> from jgc.graph import from_edges, layout
        >>> path = layout(from_edges([0, 1, 2], [1, 2, 3]))
        >>> selection, kept = top_nodes(jnp.array([0.5, 3.0, 1.0, 0.0]), path, 0.5)
        >>> selection.nodes.tolist(), kept.node_mask.tolist(), kept.node_graph.tolist()
        ([1, 2, 4], [True, True, False], [0, 0, 1])
    """
    if not 0 < ratio <= 1:
        raise ValueError(f"`ratio` is a share of the nodes in (0, 1], got {ratio}.")
    n_node, n_graph = layout.n_node, layout.graph_mask.shape[0]
    # Rounding up adds less than one node a graph. A symbol for a size cannot be rounded.
    n_slot = min(n_node, int(ratio * n_node) + n_graph) if isinstance(n_node, int) else n_node
    sizes = jnp.diff(layout.members.indptr)
    counts = jnp.where(layout.graph_mask, jnp.ceil(ratio * sizes), 0).astype(jnp.int32)
    counts = jnp.append(counts, n_slot - counts.sum())
    starts = jnp.cumsum(counts) - counts
    slot = jnp.arange(n_slot, dtype=jnp.int32)
    owner = owners(counts, n_slot)
    best_first = jnp.lexsort((-jax.lax.stop_gradient(scores), layout.node_graph))
    place = layout.members.indptr[owner] + slot - starts[owner]
    mask = owner < n_graph
    nodes = jnp.where(mask, best_first[jnp.minimum(place, n_node - 1)], n_node).astype(jnp.int32)
    slots = jnp.full(n_node, n_slot, jnp.int32).at[nodes].set(slot, mode="drop")
    kept = dataclasses.replace(
        layout,
        edges=_no_edges(n_slot),
        members=members(owner, counts),
        node_graph=owner,
        node_mask=mask,
        edge_mask=jnp.zeros(0, bool),
        graph_mask=jnp.append(layout.graph_mask, False),
        loops=jnp.zeros(n_slot),
    )
    return Selection(nodes, slots), kept


@jax.custom_vjp
def _moved(x: Array, to: Array, back: Array) -> Array:
    return jnp.take(x, to, axis=0, mode="fill", fill_value=0)


# A row goes to one slot at most, so that the gradient moves back the same way, without a scatter.
_moved.defvjp(
    lambda x, to, back: (_moved(x, to, back), (to, back)),
    lambda ways, dy: (_moved(dy, ways[1], ways[0]), None, None),
)


def _no_edges(n_node: int) -> Structure:
    starts, none = jnp.zeros(n_node + 1, jnp.int32), jnp.zeros(0, jnp.int32)
    return Structure(starts, none, none, starts, none, none, none, none)
