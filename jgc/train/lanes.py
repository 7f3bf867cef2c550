"""Lanes over devices: `vmap` on accelerators, one lane after another on each CPU device."""

from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P


def over_lanes(run, mesh: Mesh):
    """Maps `run(state, lane, *shared)` over the first axis of `state` and `lane`.

    On a CPU every device takes its share in turn by `lax.map`: measured faster than `vmap`, whose
    batched small operations leave the caches. On GPU and TPU a device runs its share as one batch;
    the loop's counters stay unbatched, so branches on them stay branches.

    Args:
        run: Pure function of one lane.
        mesh: Of one axis, `"lane"`; the number of lanes must be a multiple of its size.

    Returns:
        The mapped function, to be jitted.
    """

    def share(states, lanes, *shared):
        if in_turn(mesh):
            return jax.lax.map(lambda x: run(*x, *shared), (states, lanes))
        return jax.vmap(lambda state, lane: run(state, lane, *shared))(states, lanes)

    def mapped(states, lanes, *shared):
        specs = (P("lane"), P("lane"), *(P() for _ in shared))
        # Lanes never talk to each other, so there is nothing for the replication check to find.
        return jax.shard_map(
            share, mesh=mesh, in_specs=specs, out_specs=P("lane"), check_vma=False
        )(states, lanes, *shared)

    return mapped


def in_turn(mesh: Mesh) -> bool:
    """Whether a device runs its lanes one after another.

    Example:
        >>> in_turn(lane_mesh(1)) == (jax.default_backend() == "cpu")
        True
    """
    return mesh.devices.flat[0].platform == "cpu"


def lane_mesh(n_lane: int) -> Mesh:
    """A mesh over as many local devices as there are lanes to fill them.

    Example:
        >>> lane_mesh(1).axis_names
        ('lane',)
    """
    devices = jax.local_devices()[: max(n_lane, 1)]
    return Mesh(np.array(devices), ("lane",))


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
    extra = -n_lane % mesh.size
    grown = jax.tree.map(lambda a: np.concatenate([a, np.repeat(a[-1:], extra, 0)]), lanes)
    return grown, n_lane


def on_lanes(mesh: Mesh) -> NamedSharding:
    """The sharding that gives every device its share of the lanes."""
    return NamedSharding(mesh, P("lane"))


def everywhere(mesh: Mesh) -> NamedSharding:
    """The sharding that gives every device everything."""
    return NamedSharding(mesh, P())
