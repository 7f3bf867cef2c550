"""jraph's `GraphsTuple`, in terms that a type checker can follow."""

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    # jraph declares every field optional and features to be trees of jax arrays. Here arrays lie on
    # the host (numpy) or on a device, and node features may be `SparseRows`.
    class GraphsTuple(NamedTuple):
        """See `jraph.GraphsTuple`."""

        nodes: Any
        edges: Any
        receivers: Any
        senders: Any
        globals: Any
        n_node: Any
        n_edge: Any

else:
    from jraph import GraphsTuple as GraphsTuple
