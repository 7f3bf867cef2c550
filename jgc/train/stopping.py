"""`Stopping`: what ends a phase before its last epoch, patience or GradES, and what it carries."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from jgc.train.grades import FreezeState, GradES, check_grades

# Epochs from one look at what is frozen to the next, where programs may be rebuilt. A rebuilt
# program rounds otherwise, so it must not matter how long the chunks are.
LOOK = 20


class StopState(NamedTuple):
    """What early stopping carries.

    Attributes:
        waited: Epochs since validation last improved, int32 `[]`.
        ended: The phase is over for this lane, bool `[]`.
        ran: Which epochs were run, bool `[n_epoch]`.

    Example:
        >>> StopState(waited=3, ended=False, ran=[True, True]).ended
        False
    """

    waited: Array
    ended: Array
    ran: Array


class Stopping(NamedTuple):
    """What may end a phase early; each phase begins anew.

    Attributes:
        patience: Epochs without a better validation score (that which chooses the best epoch),
            >= 1; epochs below a pruner's final sparsity do not count. `None`: no patience.
        grades: Ends when the matrices are frozen; `None` freezes none.

    Example:
        >>> Stopping(patience=100).grades is None
        True
    """

    patience: int | None = None
    grades: GradES | None = None

    def init(self, epochs: int) -> StopState | None:
        """Before the first of `epochs` epochs; `None` where nothing ends early."""
        if self == Stopping():
            return None
        return StopState(jnp.int32(0), jnp.bool_(False), jnp.zeros(epochs, bool))

    def update(
        self, state: StopState, freeze: FreezeState | None, epoch, better: Array, settled: Array
    ) -> StopState:
        """After an epoch.

        Args:
            state: Before it.
            freeze: The monitor's state after it.
            epoch: Its number, int `[]`.
            better: It has the best validation score of the phase, bool `[]`.
            settled: It could have been chosen, bool `[]`.

        Returns:
            The next state.

        Example:
            >>> rule, yes, no = Stopping(patience=2), jnp.bool_(True), jnp.bool_(False)
            >>> state = rule.init(4)
            >>> for epoch, better in enumerate([yes, no, no]):
            ...     state = rule.update(state, None, epoch, better, yes)
            >>> bool(state.ended), int(state.ran.sum())
            (True, 3)
        """
        waited = jnp.where(better, 0, state.waited + settled)
        ended = state.ended
        if self.patience is not None:
            ended |= waited >= self.patience
        if self.grades is not None and freeze is not None:
            ended |= self.grades.over(freeze)
        return StopState(waited, ended, state.ran.at[epoch].set(True))

    def closed(
        self, freeze: FreezeState | None, stop: StopState | None, begin: int, epoch: int
    ) -> tuple[str, ...]:
        """The matrices that a program leaves out from `epoch` on: frozen in every lane that runs.

        At every look, `LOOK` epochs apart, what has frozen since is closed out, until there were
        `rebuilds` of them. It depends on the epochs at which lanes froze and ended alone, so that
        a run that was killed goes on with the program it had.

        Args:
            freeze: Of all lanes, on the host.
            stop: Of all lanes, on the host.
            begin: First epoch of the phase.
            epoch: The next epoch.

        Returns:
            Their names.
        """
        if self.grades is None or freeze is None or stop is None or epoch <= begin:
            return ()
        last = np.where(stop.ended, _last(stop.ran), np.iinfo(np.int32).max)
        since = {name: np.where(at >= 0, at, last).max() for name, at in freeze.frozen_at.items()}
        closed: tuple[str, ...] = ()
        builds = 0
        for look in range(begin + LOOK, epoch + 1, LOOK):
            settled = tuple(name for name, at in since.items() if at < look)
            if len(settled) > len(closed) and builds < self.grades.rebuilds:
                closed, builds = settled, builds + 1
        return closed

    def cut(self, span: tuple[int, int], epoch: int, stop: int) -> int:
        """Where a chunk from `epoch` to `stop` ends: at the next look or phase at the latest.

        Args:
            span: First epoch of the phase, and of the one after it.
            epoch: First epoch of the chunk.
            stop: The epoch after its last.

        Example:
            >>> Stopping(grades=GradES(0.1, rebuilds=1)).cut((100, 150), 105, 155)
            120
        """
        if self.grades is None or self.grades.rebuilds == 0:
            return stop
        begin, end = span
        return min(stop, end, epoch + LOOK - (epoch - begin) % LOOK)

    def named(self) -> tuple:
        """The settings, of functions their names: the same in every process."""
        grades = self.grades
        if grades is not None:
            grades = grades._replace(watched=grades.watched.__qualname__)
        return self.patience, grades


def _last(ran: Array) -> np.ndarray:
    """The last epoch that ran, of flags `[n_lane, n_epoch]`."""
    return ran.shape[1] - 1 - np.asarray(ran)[:, ::-1].argmax(1)


def check_stopping(stopping: Stopping) -> Stopping:
    """Returns the settings if they make sense.

    Raises:
        ValueError: for a setting out of its range.

    Example:
        >>> check_stopping(Stopping(patience=0))
        Traceback (most recent call last):
            ...
        ValueError: `patience` must be >= 1 epoch, got 0; `None` never stops early.
    """
    if stopping.patience is not None and stopping.patience < 1:
        raise ValueError(
            f"`patience` must be >= 1 epoch, got {stopping.patience}; `None` never stops early."
        )
    if stopping.grades is not None:
        check_grades(stopping.grades)
    return stopping
