"""`Course`: how a pruning method's training is laid out, and when it prunes."""

from collections.abc import Callable
from typing import NamedTuple

from jgc.prune import COURSES, Schedule, cubic, geometric, one_shot, window
from jgc.train import Phase

# Fraction of a training after which masks stay: the last quarter trains what is left.
_SETTLED = 0.75
# Regrowths of a training (RigL's every 100 of 25,000 steps are more than small graphs can use).
_REGROWTHS = 20
# Trainings of a lottery ticket before the last.
_ROUNDS = 5


class Course(NamedTuple):
    """The phases of a pruning method and the settings of its pruner that follow from them.

    Attributes:
        phases: In order.
        schedule: `sparsity -> Schedule` over the epochs of the phases that prune; `None` where the
            method's own default is meant.
        every: Epochs between two updates of the masks.
    """

    phases: tuple[Phase, ...]
    schedule: Callable[..., Schedule] | None = None
    every: int = 1


def course(name: str, after: str | None, epochs: int, finetune_epochs: int) -> Course:
    """Lays out a pruning method's training.

    Methods that prune while they train get the epochs of dense training and fine-tuning together,
    so that all methods train equally long.

    Args:
        name: A name of `jgc.prune.METHODS`; `COURSES` says which kind it is.
        after: What follows pruning, for methods that begin by dense training: "finetune" (`None`),
            "none", "scratch", "scratch-2x" or "rewind". A ticket may be trained from "scratch" too.
        epochs: Of the dense training.
        finetune_epochs: Of what follows it.

    Returns:
        The `Course`.

    Raises:
        ValueError: where there are too few epochs to prune in, or `after` does not go with it.

    Example:
        >>> [phase.epochs for phase in course("global", None, 200, 100).phases]
        [200, 100]
        >>> rigl = course("rigl", None, 200, 100)
        >>> rigl.phases[0].epochs, rigl.schedule(0.9).end, rigl.every
        (300, 225, 11)
    """
    kind = COURSES[name]
    if after is not None and kind not in ("after", "rewound"):
        raise ValueError(
            f"method `{name}` prunes while it trains, so nothing comes after it; leave out `after`."
        )
    together = epochs + finetune_epochs
    settled = int(_SETTLED * together)
    if kind == "after":
        return Course((Phase(epochs), *_after(after, epochs, finetune_epochs)))
    if kind == "rewound":
        return _rewound(name, after, epochs)
    if kind == "first":
        return Course((Phase(together, prune=True),))
    if kind == "moving":
        every = max(settled // _REGROWTHS, 1)
        return Course((Phase(together, prune=True),), lambda s: window(s, 0, settled), every)
    if kind == "gradual":
        _check_long(name, settled)
        return Course((Phase(together, prune=True),), lambda s: cubic(s, 0, settled))
    half = finetune_epochs // 2
    _check_long(name, half)
    phases = Phase(epochs), Phase(finetune_epochs, prune=True)
    if kind == "tuned":
        return Course(phases, lambda s: cubic(s, 1, half + 1))
    return Course(phases, lambda s: one_shot(s, at=half))


def _rewound(name: str, after: str | None, epochs: int) -> Course:
    if after not in (None, "scratch"):
        raise ValueError(f'method `{name}` rewinds after pruning, or takes after = "scratch".')
    prune = Phase(1, prune=True, rate=0.0)
    rounds = (prune, Phase(epochs, rewind=True)) * (_ROUNDS - 1)
    last = prune, Phase(epochs, fresh=after == "scratch", rewind=after is None)
    schedule = {
        "sap": lambda s: window(s, 0, _ROUNDS - 1), "ticket": lambda s: geometric(s, _ROUNDS),
    }[name]  # fmt: skip
    return Course((Phase(epochs), *rounds, *last), schedule)


def _after(after: str | None, epochs: int, finetune_epochs: int) -> tuple[Phase, ...]:
    """The phase that prunes, and what follows it."""
    as_it_is = Phase(1, prune=True, rate=0.0)
    if after == "rewind":
        return as_it_is, Phase(epochs, rewind=True)
    if after in ("scratch", "scratch-2x"):
        return as_it_is, Phase(epochs * (2 if after == "scratch-2x" else 1), fresh=True)
    tuned = finetune_epochs and after != "none"
    return (Phase(finetune_epochs, prune=True) if tuned else as_it_is,)


def _check_long(name: str, epochs: int) -> None:
    if epochs < 1:
        raise ValueError(
            f"method `{name}` prunes little by little and needs `finetune_epochs` of at least 2."
        )
