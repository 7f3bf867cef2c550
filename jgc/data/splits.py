"""Random splits of nodes and graphs, reproducible from a seed (numpy's PCG64)."""

import numpy as np

from jgc.data.dataset import DataError, Split


def random_split(n: int, *, seed: int, fractions: tuple[float, float] = (0.8, 0.1)) -> Split:
    """Shuffles `n` items into train, validation and test.

    Args:
        n: Number of nodes or graphs.
        seed: Seed of the generator.
        fractions: Of train and validation, each rounded down; the rest is for the test.

    Returns:
        The `Split` "random-SEED".

    Raises:
        DataError: if a part would be empty.

    Example:
        >>> [len(part) for part in random_split(20, seed=0)[:3]]
        [16, 2, 2]
    """
    order = np.random.default_rng(seed).permutation(n)
    n_train, n_val = int(n * fractions[0]), int(n * fractions[1])
    return _split(order[:n_train], order[n_train : n_train + n_val], order[n_train + n_val :], seed)


def last_split(labels: np.ndarray, *, n_val: int = 500, n_test: int = 500) -> Split:
    """Tests the last nodes, validates on those before, trains on all others.

    On Cora that is 1708, 500 and 500 nodes: the split of PyG's SplineCNN example, where the 500 of
    validation lie idle. It trains on twelve times as many labels as the public split.

    Args:
        labels: Class of each node `[n_node]`; nodes with -1 go in no part.
        n_val: Validation nodes.
        n_test: Test nodes.

    Returns:
        The `Split` "last".

    Raises:
        DataError: if no node is left to train on.

    Example:
        >>> split = last_split(np.array([0, 1, 0, -1, 1]), n_val=1, n_test=2)
        >>> [part.tolist() for part in split[:3]]
        [[0], [1], [2, 4]]

    References:
        Fey et al., CVPR 2018, sec. 5.2, and examples/cora.py of PyG.
    """
    known = np.flatnonzero(labels >= 0)
    n_train = max(known.size - n_val - n_test, 0)
    train, val, test = np.split(known, [n_train, n_train + n_val])
    return _split(train, val, test, 0)._replace(name="last")


def class_split(
    labels: np.ndarray,
    *,
    seed: int,
    per_class: int = 20,
    n_val: int = 500,
    n_test: int | None = None,
) -> Split:
    """Splits nodes as the public split does, with other nodes: `per_class` of each class to train.

    Differs: Shchur et al. take 30 a class for validation; here 500 nodes at large, as the public
    split has.

    Args:
        labels: Class of each node `[n_node]`; nodes with -1 go in no part.
        seed: Seed of the generator.
        per_class: Training nodes of each class.
        n_val: Validation nodes.
        n_test: Test nodes; by default all others.

    Returns:
        The `Split` "random-SEED".

    Raises:
        DataError: if a class has too few nodes, or too few nodes are left for a part.

    Example:
        >>> split = class_split(np.array([0, 1] * 10), seed=0, per_class=2, n_val=6)
        >>> [len(part) for part in split[:3]]
        [4, 6, 10]

    References:
        Shchur et al., 2018, sec. 3. https://arxiv.org/abs/1811.05868
    """
    order = np.random.default_rng(seed).permutation(np.flatnonzero(labels >= 0))
    train = []
    for label in range(int(labels.max()) + 1):
        members = order[labels[order] == label][:per_class]
        if members.size < per_class:
            raise DataError(
                f"Class {label} has {members.size} nodes, fewer than `per_class` = {per_class}."
            )
        train.append(members)
    rest = order[~np.isin(order, np.concatenate(train))]
    test = rest[n_val:] if n_test is None else rest[n_val : n_val + n_test]
    if rest.size < n_val + (n_test or 1):
        raise DataError(f"{rest.size} nodes are left; too few for {n_val} validation nodes.")
    return _split(np.concatenate(train), rest[:n_val], test, seed)


def stratified_folds(
    labels: np.ndarray, *, seed: int, n_folds: int = 10, inner: float = 0.1
) -> tuple[Split, ...]:
    """Stratified k-fold: each item is tested once; validation is held out of each training part.

    The outer test fold is never seen by selection, which uses a stratified tenth of the remaining
    items. Folds differ by at most one item of each class.

    Differs: Xu et al. (GIN) select on the very fold that they report; those numbers are higher.

    Args:
        labels: Class of each item `[n]`.
        seed: Seed of the generator.
        n_folds: Number of folds, at least 2.
        inner: Fraction of each class of a training part that is held out; at least one item.

    Returns:
        `n_folds` splits "fold-0", "fold-1", ...

    Raises:
        DataError: if `n_folds` is below 2 or a class has fewer than `n_folds` items.

    Example:
        >>> folds = stratified_folds(np.array([0, 1] * 20), seed=0, n_folds=4)
        >>> [[len(part) for part in fold[:3]] for fold in folds]
        [[26, 4, 10], [26, 4, 10], [26, 4, 10], [26, 4, 10]]

    References:
        Errica et al., ICLR 2020, sec. 3. https://arxiv.org/abs/1912.09893
    """
    smallest = np.bincount(labels).min()
    if n_folds < 2 or smallest < n_folds:
        raise DataError(
            f"`n_splits` is {n_folds} folds; allowed are 2..{smallest} (the smallest class)."
        )
    rng = np.random.default_rng(seed)
    fold_of = np.empty(labels.size, np.int64)
    dealt = 0
    for members in _shuffled_classes(rng, np.arange(labels.size), labels):
        # The next class goes on where the last one ended, so that folds have even sizes.
        fold_of[members] = (dealt + np.arange(members.size)) % n_folds
        dealt += members.size
    splits = []
    for fold in range(n_folds):
        outer = np.flatnonzero(fold_of != fold)
        val = np.concatenate(
            [m[: max(1, round(inner * m.size))] for m in _shuffled_classes(rng, outer, labels)]
        )
        train, test = np.setdiff1d(outer, val), np.flatnonzero(fold_of == fold)
        splits.append(Split(train, np.sort(val), test, f"fold-{fold}"))
    return tuple(splits)


def _shuffled_classes(rng, items: np.ndarray, labels: np.ndarray) -> list[np.ndarray]:
    return [rng.permutation(items[labels[items] == c]) for c in np.unique(labels)]


def _split(train, val, test, seed: int) -> Split:
    if min(len(train), len(val), len(test)) == 0:
        raise DataError(
            f"Too few items: train, validation and test would hold {len(train)}, {len(val)} and "
            f"{len(test)}."
        )
    return Split(np.sort(train), np.sort(val), np.sort(test), f"random-{seed}")
