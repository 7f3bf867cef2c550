"""Lanes over devices: `vmap` on accelerators, one lane after another on each CPU device.

Where a graph is dealt to several devices, those are a second axis of the mesh.
"""

from typing import Any

import jax
import numpy as np
from jax import Array
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jgc.graph.exchange import AXIS
from jgc.train.state import TrainState


def over_lanes(run, mesh: Mesh):
    """Maps `run(state, lane, data, *shared)` over the first axis of `state` and `lane`.

    On a CPU every device takes its share in turn by `lax.map`: measured faster than `vmap`, whose
    batched small operations leave the caches. On GPU and TPU a device runs its share as one batch;
    the loop's counters stay unbatched, so branches on them stay branches.

    Args:
        run: Pure function of one lane.
        mesh: From `lane_mesh`; the number of lanes must be a multiple of its size along `"lane"`.

    Returns:
        The mapped function, to be jitted.
    """

    def share(states, lanes, *shared):
        def one(state, lane):
            return run(state, lane, *shared)

        if not in_turn(mesh):
            return jax.vmap(one)(states, lanes)
        if not jax.tree.leaves(states):  # Before there are any: their shapes are asked for.
            return jax.lax.map(lambda x: one(*x), (states, lanes))
        # States are written where they were read: `map` makes empty ones first, and copies.
        return jax.lax.fori_loop(
            0, jax.tree.leaves(states)[0].shape[0],
            lambda i, states: _put(states, i, one(_at(states, i), _at(lanes, i))), states,
        )  # fmt: skip

    def mapped(states, lanes, data, *shared):
        specs = (state_specs(mesh), P("lane"), data_specs(mesh), *(P() for _ in shared))
        # Lanes never talk to each other, and what parts tell each other has gradients of its own:
        # there is nothing for the replication check to find.
        return jax.shard_map(
            share, mesh=mesh, in_specs=specs, out_specs=state_specs(mesh), check_vma=False
        )(states, lanes, data, *shared)

    return mapped


def _at(tree: Any, i: Array) -> Any:
    return jax.tree.map(lambda a: jax.lax.dynamic_index_in_dim(a, i, keepdims=False), tree)


def _put(tree: Any, i: Array, one: Any) -> Any:
    put = jax.lax.dynamic_update_index_in_dim
    return jax.tree.map(lambda a, new: put(a, new, i, 0), tree, one)


def state_specs(mesh: Mesh) -> Any:
    """Where the axes of a `TrainState` lie: all parts hold the same, but for what they owe."""
    if AXIS not in mesh.axis_names:
        return P("lane")
    lanes = TrainState._make([P("lane")] * len(TrainState._fields))
    return lanes._replace(owed=P("lane", AXIS))


def data_specs(mesh: Mesh) -> Any:
    """Where the axes of a problem's `(shared, per_split)` arrays lie."""
    return (P(AXIS), P(None, AXIS)) if AXIS in mesh.axis_names else P()


def in_turn(mesh: Mesh) -> bool:
    """Whether a device runs its lanes one after another.

    Example:
        >>> in_turn(lane_mesh(1)) == (jax.default_backend() == "cpu")
        True
    """
    return mesh.devices.flat[0].platform == "cpu"


def lane_mesh(n_lane: int, n_part: int = 1) -> Mesh:
    """A mesh over as many devices as there are lanes, and parts of each, to fill them.

    Args:
        n_lane: Number of lanes.
        n_part: Devices that share a graph; with more than one the mesh has the axis `"part"` too,
            and spans the devices of all processes.

    Raises:
        ValueError: if the devices are fewer, or do not divide.

    Example:
        >>> lane_mesh(1).axis_names
        ('lane',)
    """
    if n_part == 1:
        return Mesh(np.array(jax.local_devices()[: max(n_lane, 1)]), ("lane",))
    devices = np.array(jax.devices())
    if devices.size % n_part:
        raise ValueError(
            f"`devices` = {n_part} must divide the number of devices, which is {devices.size} in "
            f"{jax.process_count()} process(es). On CPU JAX_NUM_CPU_DEVICES sets it."
        )
    groups = devices.reshape(-1, n_part)
    return Mesh(groups[: max(n_lane, 1)], ("lane", AXIS))


def fill(lanes: Any, mesh: Mesh) -> tuple[Any, int]:
    """Repeats the last lane until the devices are full.

    Args:
        lanes: Pytree with a leading axis of lanes.
        mesh: From `lane_mesh`.

    Returns:
        The lanes, and how many of them are real.

    Example:
        >>> fill(np.arange(1), lane_mesh(1))[1]
        1
    """
    n_lane = jax.tree.leaves(lanes)[0].shape[0]
    extra = -n_lane % mesh.shape["lane"]
    grown = jax.tree.map(lambda a: np.concatenate([a, np.repeat(a[-1:], extra, 0)]), lanes)
    return grown, n_lane


def shardings(specs: Any, mesh: Mesh, tree: Any) -> Any:
    """A sharding for every leaf of a pytree, by specs that may end above the leaves."""
    specs = jax.tree.broadcast(specs, tree, is_leaf=lambda leaf: isinstance(leaf, P))
    return jax.tree.map(lambda spec: NamedSharding(mesh, spec), specs)


def placed(tree: Any, specs: Any, mesh: Mesh) -> Any:
    """Arrays of the host on the devices; every process places the shares of its own."""
    where = shardings(specs, mesh, tree)
    if jax.process_count() == 1:
        return jax.device_put(tree, where)

    def place(leaf, sharding):
        leaf = np.asarray(leaf)
        return jax.make_array_from_callback(leaf.shape, sharding, lambda at: leaf[at])

    return jax.tree.map(place, tree, where)


def on_host(state: Any) -> Any:
    """A pytree as numpy arrays, of all processes' devices."""
    if jax.process_count() > 1:
        return multihost_utils.process_allgather(state, tiled=True)
    return jax.tree.map(np.asarray, state)
