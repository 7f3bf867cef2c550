"""What devices that share a graph send each other, counted from the model and the cut."""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.sharding import AbstractMesh, AxisType
from jax.sharding import PartitionSpec as P

from jgc.forward import exchanges
from jgc.graph.exchange import AXIS, row_bytes
from jgc.train.task import Problem


class Traffic(NamedTuple):
    """Bytes between devices, all of them together.

    Attributes:
        widths: Numbers a row of each exchange of a forward pass; a gradient sends the same back.
        n_cut: Edges whose two ends lie on different devices.
        boundary: Rows that must be sent in an exchange: a node once to every device with edges
            from it, at most `n_cut`.
        rows: Rows that are sent, which fill messages of equal size.
        bytes_cut: Bytes of a training step if messages held the boundary alone.
        bytes_step: Bytes of a training step, forward and backward.
        bytes_answer: Bytes of a pass without gradients, as before every score.

    Example:
        >>> one = Traffic((64, 7), 9, boundary=5, rows=8, bytes_cut=2, bytes_step=3, bytes_answer=0)
        >>> one.boundary <= one.n_cut
        True
    """

    widths: tuple[int, ...]
    n_cut: int
    boundary: int
    rows: int
    bytes_cut: int
    bytes_step: int
    bytes_answer: int


def traffic(model: nn.Module, task: Problem) -> Traffic:
    """Counts what a model exchanges on a task that is dealt to devices; nothing runs.

    Sums of gradients and scores come on top: each step every device hands on the bytes of the
    parameters about twice, whatever the graph.

    Args:
        model: Fitted to the task.
        task: From `jgc.train.problem` with `devices` > 1.

    Returns:
        The `Traffic`.

    Raises:
        ValueError: for a task on one device.

    Example:
        >>> import jgc.data
        >>> from jgc.models import GCN, for_task
        >>> from jgc.train import problem
        >>> data = jgc.data.load("sbm")
        >>> model = for_task(GCN(hidden=64), "node", data.n_class)
        >>> found = traffic(model, problem(data, devices=2))
        >>> found.widths, found.bytes_cut == 2 * found.boundary * 4 * (64 + 7)
        ((64, 7), True)
    """
    if task.parts is None:
        raise ValueError("`task` is on one device: nothing is exchanged. Give `devices` > 1.")
    sent, wire = task.parts.sent, task.parts.wire
    n_part, widths = task.n_part, _widths(model, task)
    each = sum(row_bytes(width, wire) for width in widths)
    rows = n_part * (n_part - 1) * task.parts.n_send
    boundary = int(sent.sum())
    return Traffic(
        widths, task.parts.n_cut, boundary, rows, 2 * boundary * each, 2 * rows * each, rows * each
    )


def _widths(model: nn.Module, task: Problem) -> tuple[int, ...]:
    """The rows of every exchange, from shapes alone: no device needs to be there."""
    found = []

    def look(data):
        graph, layout, _ = task.batch(task.select(data, jnp.int32(0)), 0, 0, jax.random.key(0))
        variables = model.init(jax.random.key(0), graph, layout)
        found.extend(shape[-1] for shape in exchanges(model, variables, graph, layout))
        return variables

    mesh = AbstractMesh((task.n_part,), (AXIS,), axis_types=(AxisType.Auto,))
    specs = (P(AXIS), P(None, AXIS))
    mapped = jax.shard_map(look, mesh=mesh, in_specs=(specs,), out_specs=P(), check_vma=False)
    jax.eval_shape(mapped, task.data)
    return tuple(found)
