"""What the training loop is told and what it carries: lanes, models, states."""

from typing import Any, NamedTuple

import numpy as np
from jax import Array

from jgc.prune import PruneState
from jgc.train.descent import DescentState
from jgc.train.grades import FreezeState
from jgc.train.stopping import StopState

Scalar = Any  # an array without axes: numpy's outside of a program, a traced one inside


class Lane(NamedTuple):
    """One run of a front: all traced, so any mix of lanes shares one program.

    Attributes:
        seed: Of initial weights, dropout and sampling, uint32.
        split: Which split of the data set, int32.
        sparsity: Fraction of the prunable weights to remove, float32 in [0, 1].
        bits: Width of quantised weights and values, int32 in 2..8.
        l2: Strength of the L2 penalty, float32 >= 0; read by methods with `l2`.

    Example:
        >>> float(lane(seed=3, sparsity=0.5).sparsity)
        0.5
    """

    seed: Scalar
    split: Scalar
    sparsity: Scalar
    bits: Scalar
    l2: Scalar


def lane(
    seed: int, *, split: int = 0, sparsity: float = 0.0, bits: int = 8, l2: float = 0.0
) -> Lane:
    """One run.

    Args:
        seed: Of everything random in it, >= 0.
        split: Which split of the data set, >= 0.
        sparsity: In [0, 1].
        bits: In 2..8.
        l2: Strength of an L2 penalty, >= 0.

    Returns:
        The `Lane`.

    Raises:
        ValueError: for a value out of its range.

    Example:
        >>> float(lane(3, sparsity=0.5).sparsity)
        0.5
    """
    if seed < 0 or split < 0:
        raise ValueError(f"`seed` and `split` must be >= 0, got {seed} and {split}.")
    if not 0 <= sparsity <= 1:
        raise ValueError(f"`sparsity` is a fraction in [0, 1], got {sparsity}.")
    if not 2 <= bits <= 8:
        raise ValueError(f"`bits` must be in 2..8, got {bits}.")
    if not 0 <= l2 < np.inf:
        raise ValueError(f"`l2` must be a finite number >= 0, got {l2}.")
    return Lane(
        np.uint32(seed), np.int32(split), np.float32(sparsity), np.int32(bits), np.float32(l2)
    )


class Model(NamedTuple):
    """All arrays of a model at one moment.

    Attributes:
        params: Trainable parameters.
        stats: Other collections of the model, such as batch statistics.
        masks: As the parameters, bool, True = kept; `None` where the method never prunes.
        quant: State of the quantiser; `None` where the method never quantises.

    Example:
        >>> Model({"kernel": 1.0}, stats={}, masks=None, quant=None).params
        {'kernel': 1.0}
    """

    params: Any
    stats: Any
    masks: Any
    quant: Any


class Best(NamedTuple):
    """The epoch that validation chose, and what the test part would have chosen.

    Attributes:
        model: Parameters of that epoch.
        val: Its validation score, float32 `[]`, and so all that follow.
        test: Its test score, the one that is reported.
        epoch: Its number, counted over all phases.
        oracle: Best test score of any epoch of the phase; for comparison with papers that chose so.
        choice: The validation score that chose it: `val`, or that of the problem's `choose`.

    Example:
        >>> Best(None, val=0.80, test=0.79, epoch=131, oracle=0.81, choice=0.80).epoch
        131
    """

    model: Model
    val: Array
    test: Array
    epoch: Array
    oracle: Array
    choice: Array


class PruneLog(NamedTuple):
    """What the pruner did in each epoch, for the cost of a training.

    Attributes:
        kept: Kept weights of each kernel by name, int32 `[n_epoch]`.
        gradients: Gradients of all weights that its update formed, int32 `[n_epoch]`.
    """

    kept: dict[str, Array]
    gradients: Array


class TrainState(NamedTuple):
    """What the loop carries.

    Attributes:
        model: The model being trained.
        opt_state: Of the optimiser, for parameters and for what the quantiser learns.
        prune: Of the pruner; `None` where the method never prunes.
        best: Of the phase so far.
        loss: Mean training loss of each epoch so far, float32 `[n_epoch]`.
        val: Validation score of each epoch.
        test: Test score of each epoch.
        pruned: What the pruner did; `None` where the method never prunes.
        freeze: Of GradES; `None` without it.
        stop: Of early stopping; `None` where all epochs run. Epochs that did not run have NaN for
            loss and scores.
        owed: What the int8 exchanges of a graph on several devices owe, `(forward, backward)` each
            (`jgc.graph.Part`), of every device in turn along the first axis; `None` elsewhere.

    Example:
        >>> state = TrainState(None, None, None, None, loss=[0.7, 0.5], val=[], test=[])
        >>> state.loss[-1], state.prune is None
        (0.5, True)
    """

    model: Model
    opt_state: DescentState
    prune: PruneState | None
    best: Best
    loss: Array
    val: Array
    test: Array
    pruned: PruneLog | None = None
    freeze: FreezeState | None = None
    stop: StopState | None = None
    owed: Any = None


class Start(NamedTuple):
    """A dense model that a method starts from, trained once for all its levels.

    Attributes:
        best: Of the dense training; without masks and quantiser.
        loss: Of each of its epochs, float32 `[n_epoch]`.
        val: Validation scores.
        test: Test scores.

    Example:
        >>> import numpy as np
        >>> Start(None, np.zeros(200), np.zeros(200), np.zeros(200)).epochs
        200
    """

    best: Best
    loss: Array
    val: Array
    test: Array

    @property
    def epochs(self) -> int:
        """Epochs that are done, of one lane or of a stack of them."""
        return self.loss.shape[-1]


def starts(state: TrainState) -> Start:
    """What other methods need of a dense training, to start from it.

    Args:
        state: Of a method with one phase that trains as it is, leaves `[n_lane, ...]`.

    Returns:
        A `Start` with leaves `[n_lane, ...]`; take the lanes that are wanted by
        `jax.tree.map(lambda leaf: leaf[which], ...)`.

    Example:
        >>> import jgc.data
        >>> from jgc.models import GCN, for_task
        >>> from jgc.prune import global_magnitude
        >>> from jgc.train import Method, Phase, lane, problem, train
        >>> data = jgc.data.load("sbm")
        >>> model, task = for_task(GCN(hidden=8), "node", data.n_class), problem(data)
        >>> dense = train(model, task, Method("dense", (Phase(2),)), [lane(0)])
        >>> pruned = Method("global", (Phase(2), Phase(1, prune=True)),
        ...                 lambda sparsity, key: global_magnitude(sparsity))
        >>> done = train(model, task, pruned, [lane(0, sparsity=0.5)], dense=starts(dense.state))
        >>> bool((done.state.loss[:, :2] == dense.state.loss).all())
        True
    """
    return Start(state.best, state.loss, state.val, state.test)
