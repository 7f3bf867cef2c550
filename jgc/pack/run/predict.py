"""`predict`: a restored model on a data set, with everything checked that could make it wrong."""

import csv
import io
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jgc.data import Dataset
from jgc.models import link_scores
from jgc.pack.restore import Restored
from jgc.pack.run.beyond import warn_beyond
from jgc.pack.run.fit import check_data
from jgc.pack.run.runtime import Runtime, runtime
from jgc.pack.run.work import in_order, on_dataset
from jgc.train.problem import Problem


class Prediction(NamedTuple):
    """What a model says of a data set.

    Attributes:
        answers: Logits, or values of regression, of every node or graph `[n, n_out]`; of links
            logits of the pairs of the test part, edges first, `[n_pair, 1]`.
        score: Of the test part; NaN where it cannot be told, as of one class alone.
        metric: Its name: the one that the model was accepted with.
        split: Name of the split.
        runtime: How it was run.

    Example:
        >>> said = Prediction(np.array([[2.0, -1.0]]), 1.0, "accuracy", "public", runtime=None)
        >>> said.answers.argmax(-1).tolist(), said.score
        ([0], 1.0)
    """

    answers: np.ndarray
    score: float
    metric: str
    split: str
    runtime: Runtime


def predict(restored: Restored, data: Dataset, split: int = 0) -> Prediction:
    """Runs a model on all nodes or graphs of a data set, or on the test pairs of a link task.

    Values beyond a site's static range are clipped to it, as in training. Where some lie further
    out than eight times its width, a `UserWarning` says how many, and at which site.

    Args:
        restored: From `jgc.pack.restore`.
        data: From `jgc.data.load`, of the same task and widths; any graphs.
        split: Which of its splits says what the test part is, and of links which edges are known.

    Returns:
        The `Prediction`.

    Raises:
        ValueError: for another task, kind of labels, number of classes or features; for features
            that are no numbers; for a graph of another number of nodes than a per-node table
            (A²Q); for answers that are no numbers.

    Example:
        >>> import tempfile, jgc
        >>> data = jgc.data.load("sbm")
        >>> result = jgc.compress("gcn", data, prune="global:0.5", hidden=8, epochs=20)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     restored = jgc.pack.restore(result.save(folder))
        >>> predict(restored, data).score == restored.meta["test"]
        True
    """
    check_data(restored, data)
    work, task = on_dataset(data, split, restored.meta.get("metric"))
    warn_beyond(restored, work)
    chosen = runtime(restored, work)
    answers = in_order(chosen.run(), data, work)
    bad = int((~np.isfinite(answers)).any(-1).sum())
    if bad:
        raise ValueError(
            f"{bad} of {len(answers)} answers are no numbers: features of {data.name!r} are too "
            "large. Are they scaled as they were in training?"
        )
    score = _score(answers, data, task)
    if data.task == "link":
        pairs = jnp.asarray(test_pairs(data, split)[0])
        answers = np.asarray(link_scores(jnp.asarray(answers), pairs))[:, None]
    return Prediction(answers, score, task.metric, data.splits[split].name, chosen)


def test_pairs(data: Dataset, split: int) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of the test part of a link task `[n_pair, 2]`, and whether each is an edge."""
    part = data.splits[split]
    is_edge = np.repeat([1, 0], [len(part.test), len(part.test_neg)])
    return np.concatenate([part.test, part.test_neg]), is_edge


def to_csv(prediction: Prediction, data: Dataset, split: int = 0) -> str:
    """Every answer as one line of CSV.

    Args:
        prediction: From `predict`, with the same `data` and `split`.
        data: The data set.
        split: Number of the split.

    Returns:
        CSV with a header. Nodes and graphs: `node` or `graph`, `part` of the split (empty where
        in none), then `predicted` and a probability `p_0`, `p_1`, ... of each class; of yes-no
        targets a probability each; of regression `value_0`, .... Links: `source`, `target`,
        `is_edge`, `p_0`.

    Example:
        >>> class Data:
        ...     task, kind, graphs = "graph", "value", [None]
        >>> from jgc.data import Split
        >>> Data.splits = [Split([], [], [0], "random-0")]
        >>> found = Prediction(np.array([[0.5]]), 0.1, "mae", "random-0", None)
        >>> to_csv(found, Data).splitlines()
        ['graph,part,value_0', '0,test,0.5']
    """
    kind = "binary" if data.task == "link" else data.kind
    header, columns = _columns(prediction.answers, kind)
    if data.task == "link":
        pairs, is_edge = test_pairs(data, split)
        first, ids = ["source", "target", "is_edge"], [*pairs.T, is_edge]
    else:
        n = len(prediction.answers)
        first, ids = [data.task, "part"], [np.arange(n), _parts(data.splits[split], n)]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*first, *header])
    writer.writerows(zip(*(column.tolist() for column in ids), *columns, strict=True))
    return out.getvalue()


def _score(answers: np.ndarray, data: Dataset, task: Problem) -> float:
    # The problem's answers of graphs have a slot more, for padding.
    padded = np.pad(answers, ((0, 1), (0, 0))) if data.task == "graph" else answers
    selected = task.select(task.data, jnp.int32(0))
    return float(task.score(jnp.asarray(padded), selected).test)


def _parts(split: Any, n: int) -> np.ndarray:
    parts = np.full(n, "", object)
    for name in ("train", "val", "test"):
        parts[getattr(split, name)] = name
    return parts


def _columns(answers: np.ndarray, kind: str) -> tuple[list[str], list[list[str]]]:
    numbers = np.arange(answers.shape[1])
    if kind == "value":
        return [f"value_{i}" for i in numbers], _text(answers)
    header = [f"p_{i}" for i in numbers]
    if kind == "binary":
        return header, _text(np.asarray(jax.nn.sigmoid(answers)))
    likely = _text(np.asarray(jax.nn.softmax(answers, axis=-1)))
    return ["predicted", *header], [[str(i) for i in answers.argmax(-1)], *likely]


def _text(values: np.ndarray) -> list[list[str]]:
    """Columns of numbers, six digits each."""
    return [[f"{value:.6g}" for value in column] for column in values.T]
