"""Which units of a model may go, and who takes over the constants among them."""

from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from jgc.pack.compaction.units import ANSWERS, Units

Arrays = Mapping[str, np.ndarray]

# Why an output that is pruned whole is still there.
ANSWER = "is an answer"
VARIES = "is no constant"
STANDS = "stands for constants that no bias takes over"
LAST = "is the last of its layer"
WRONG = "would change the answers"


class Move(NamedTuple):
    """A row of a kernel that reads a constant, and where its share of the result goes.

    Attributes:
        path: Of the linear map.
        row: Of its kernel.
        to: The row that takes it over; `None`: the bias does.
        factor: What the row is multiplied by.
    """

    path: str
    row: int
    to: int | None
    factor: float


class Fate(NamedTuple):
    """What becomes of every unit.

    Attributes:
        gone: True for units that go, bool `[n_unit]`.
        moves: What happens to the rows that read them, in any order.
        why: Why a unit that stays does, if it is pruned; str `[n_unit]`.
    """

    gone: np.ndarray
    moves: list[Move]
    why: np.ndarray


class Reading(NamedTuple):
    """A row of a kernel and what it reads, `[n]`: one number, or one times the size of a graph."""

    path: str
    row: int
    values: np.ndarray

    @property
    def largest(self) -> float:
        """The entry of the largest magnitude."""
        return float(self.values[np.abs(self.values).argmax()])

    @property
    def kind(self) -> tuple[str, bytes]:
        """The same for rows of one kernel that read multiples of each other."""
        return self.path, (np.round(self.values / self.largest, 5) + 0.0).tobytes()


def fate(arrays: Arrays, found: Units, values: Arrays, on_grids: bool = False) -> Fate:
    """Decides which units go.

    A unit goes where all that reads it reads 0, or has zero weights for it. Where it is read as a
    constant, the biases of what reads it take over its share. Where it is one times the size of a
    graph, as behind a readout that sums, all such units of a layer become one.

    Args:
        arrays: Of the model by name (`"params/conv1/linear/kernel"`), pruned weights 0.
        found: Its units.
        values: What its linear maps read whatever the features, from `known_inputs`.
        on_grids: Weights lie on grids, so that no row can take over another's share, and values
            that nothing reads may still choose the grid of others.

    Returns:
        The `Fate`. One output of every layer stays.
    """
    maps = {p: ids for p, ids in found.inputs.items() if f"params/{p}/kernel" in arrays}
    free = _free(found, maps)
    gone, readings = _without_effect(arrays, found, maps, values, free, on_grids)
    why = np.full(found.n, VARIES, object)
    why[found.inputs[ANSWERS]] = ANSWER
    constants = {
        unit: each
        for unit, each in readings.items()
        if free[unit] and all(np.isfinite(r.values).all() for r in each)
    }
    why[list(constants)] = STANDS
    moves = _moves(constants, on_grids)
    going = gone.copy()
    going[list(moves)] = True
    settled = _settled(going, found)
    why[going & ~settled] = LAST
    left = [move for unit, each in moves.items() if settled[unit] for move in each]
    return Fate(settled, left, why)


def _free(found: Units, maps: Arrays) -> np.ndarray:
    """Units that are made and read inside of the model, bool `[n_unit]`."""
    made, read = np.zeros((2, found.n), bool)
    for mark, by_name in ((made, found.outputs), (read, maps)):
        for ids in by_name.values():
            mark[ids] = True
    free = made & read
    free[found.inputs[ANSWERS]] = False
    return free


def _without_effect(
    arrays: Arrays, found: Units, maps: Arrays, values: Arrays, free: np.ndarray, on_grids: bool
) -> tuple[np.ndarray, dict[int, list[Reading]]]:
    """Units of which nothing is read but zeros, bool `[n_unit]`, and what is read of the others."""
    gone = np.zeros(found.n, bool)
    while True:  # What goes reads nothing any more.
        readings: dict[int, list[Reading]] = defaultdict(list)
        for path, ids in maps.items():
            adds = (values[path] != 0).any(0)
            if not on_grids:
                columns = ~gone[found.outputs[f"params/{path}/kernel"]]
                adds &= arrays[f"params/{path}/kernel"][:, columns].any(1)
            for row in np.flatnonzero(adds):
                readings[int(ids[row])].append(Reading(path, int(row), values[path][:, row]))
        now = free.copy()
        now[list(readings)] = False
        if (now == gone).all():
            return gone, readings
        gone = now


def _moves(constants: dict[int, list[Reading]], on_grids: bool) -> dict[int, list[Move]]:
    """What happens to the rows that read a constant, for all units but those that stand for one."""
    moves: dict[int, list[Move]] = {}
    alike: dict[frozenset, list[int]] = defaultdict(list)
    for unit, read in constants.items():
        if all(np.ptp(r.values) == 0 for r in read):
            moves[unit] = [Move(r.path, r.row, None, r.largest) for r in read]
        elif not on_grids:
            alike[frozenset(r.kind for r in read)].append(unit)
    for each in alike.values():
        # Of the largest, so that no share is multiplied by a large number.
        stands = max(each, key=lambda unit: min(abs(r.largest) for r in constants[unit]))
        to = {r.kind: r for r in constants[stands]}
        for unit in set(each) - {stands}:
            moves[unit] = [
                Move(r.path, r.row, to[r.kind].row, r.largest / to[r.kind].largest)
                for r in constants[unit]
            ]
    return moves


def _settled(gone: np.ndarray, found: Units) -> np.ndarray:
    """Less the units that would leave a layer empty or an array ragged."""
    gone = gone.copy()
    for ids in found.outputs.values():
        if ids.size and gone[ids].all():
            gone[ids.flat[0]] = False
    while ragged := [ids for ids in found.outputs.values() if kept(gone[ids]) is None]:
        for ids in ragged:
            gone[ids] = False
    return gone


def kept(gone: np.ndarray) -> list[np.ndarray] | None:
    """What stays along every axis of an array; `None` where that would be no array.

    Example:
        >>> kept(np.array([[True, False], [True, False]]))
        [array([ True,  True]), array([False,  True])]
        >>> kept(np.eye(2, dtype=bool)) is None
        True
    """
    for axis in range(gone.ndim):
        others = tuple(i for i in range(gone.ndim) if i != axis)
        if (gone == gone.all(others, keepdims=True)).all():
            stay = [np.ones(size, bool) for size in gone.shape]
            stay[axis] = np.asarray(~gone.all(others))
            return stay
    return None
