"""Sparse training: masks drawn before the first step that stay (static) or move (SET, RigL)."""

import jax
import jax.numpy as jnp
from jax import Array

from jgc.prune.budget import Budget, erdos_renyi, per_layer
from jgc.prune.compose import pruner
from jgc.prune.regrow import regrowing
from jgc.prune.schedule import Timing, needed, timed
from jgc.prune.score import Score, random, slopes
from jgc.prune.structure import element
from jgc.prune.types import Params, Pruner
from jgc.tree import PathPredicate, is_kernel

# How the first masks deal the sparsity out over the layers.
BUDGETS: dict[str, Budget] = {"erdos-renyi": erdos_renyi, "uniform": per_layer}
_EXAMPLE = "window(s, begin=0, end=75)"


def static_sparse(
    sparsity,
    *,
    key: Array,
    budget: str = "erdos-renyi",
    schedule: Timing = None,
    every: int = 1,
    is_prunable: PathPredicate = is_kernel,
) -> Pruner:
    """Random masks that stay: the control of sparse training.

    Args:
        sparsity: As in `global_magnitude`; with budget "uniform" of each prunable leaf.
        key: A jax key, of the masks.
        budget: A name of `BUDGETS`.
        schedule: As in `global_magnitude`.
        every: As in `pruner`.
        is_prunable: As in `pruner`.

    Returns:
        The `Pruner`.

    Raises:
        ValueError: for an unknown budget, and as `global_magnitude`.

    Example:
        >>> params = {"a": {"kernel": jnp.ones((10, 10))}, "b": {"kernel": jnp.ones((10, 2))}}
        >>> prune = static_sparse(0.8, key=jax.random.key(0))
        >>> masks = prune.update(prune.init(params), params)[0].masks
        >>> int(masks["a"]["kernel"].sum()), int(masks["b"]["kernel"].sum())
        (15, 9)

    References:
        Mocanu et al., 2018; Evci et al., ICML 2020, "static". https://arxiv.org/abs/1911.11134
    """
    return pruner(
        score=random(key),
        budget=_named(budget),
        structure=element,
        schedule=timed(sparsity, schedule),
        every=every,
        is_prunable=is_prunable,
    )


def set_(
    sparsity,
    *,
    key: Array,
    budget: str = "erdos-renyi",
    drop: float = 0.3,
    schedule: Timing = None,
    every: int = 1,
    is_prunable: PathPredicate = is_kernel,
) -> Pruner:
    """SET: drops the smallest weights of each layer and grows as many at random.

    Args:
        sparsity: As in `static_sparse`; held at every step.
        key: A jax key, of the first masks and of what grows.
        budget: As in `static_sparse`.
        drop: As in `regrowing`.
        schedule: As in `global_magnitude`, but needed: the `window` in which masks move.
        every: Steps between two regrowths, >= 1.
        is_prunable: As in `pruner`.

    Returns:
        The `Pruner`.

    Raises:
        ValueError: without `schedule`, for an unknown budget, and as `regrowing`.

    Example:
        >>> from jgc.prune import window
        >>> prune = set_(0.5, key=jax.random.key(0), schedule=lambda s: window(s, 0, 8), every=2)
        >>> params = {"kernel": jnp.ones((4, 4))}
        >>> state, _ = prune.update(prune.init(params), params)
        >>> moved, _ = prune.update(state._replace(step=jnp.int32(2)), params)
        >>> old, new = state.masks["kernel"], moved.masks["kernel"]
        >>> int(new.sum()), bool((new != old).any())
        (8, True)

    References:
        Mocanu et al., Nature Communications 2018, alg. 2. https://arxiv.org/abs/1707.04780
        Differs: the smallest magnitudes are dropped, not the smallest positive and largest
        negative; the fraction falls by `cosine`, as in RigL.
    """
    first, grown = jax.random.split(key)
    return regrowing(
        grow=_anew(grown),
        key=first,
        budget=_named(budget),
        structure=element,
        schedule=needed(sparsity, schedule, "set_", _EXAMPLE),
        every=every,
        drop=drop,
        is_prunable=is_prunable,
    )


def rigl(
    sparsity,
    *,
    key: Array,
    budget: str = "erdos-renyi",
    drop: float = 0.3,
    schedule: Timing = None,
    every: int = 1,
    is_prunable: PathPredicate = is_kernel,
) -> Pruner:
    """RigL: drops the smallest weights of each layer, grows those with the steepest gradients.

    Args:
        sparsity: As in `static_sparse`; held at every step.
        key: A jax key, of the first masks.
        budget: As in `static_sparse`.
        drop: As in `regrowing`.
        schedule: As in `set_`.
        every: Steps between two regrowths, >= 1.
        is_prunable: As in `pruner`.

    Returns:
        The `Pruner`; its `update` needs `loss=`, whose gradient is formed at a regrowth only.

    Raises:
        ValueError: as `set_`; from `update`, without `loss`.

    Example:
        >>> from jgc.prune import window
        >>> moving = lambda s: window(s, begin=0, end=8)
        >>> prune = rigl(0.5, key=jax.random.key(0), drop=1.0, schedule=moving, every=2)
        >>> params, steep = {"kernel": jnp.ones((2, 2))}, jnp.array([[1.0, 2.0], [3.0, 4.0]])
        >>> state = prune.init(params)
        >>> for _ in range(3):
        ...     state, info = prune.update(
        ...         state, params, loss=lambda p: (p["kernel"] * steep).sum())
        >>> state.masks["kernel"].tolist(), float(info.achieved)
        ([[False, False], [True, True]], 0.5)

    References:
        Evci et al., ICML 2020, alg. 1. https://arxiv.org/abs/1911.11134
    """
    return regrowing(
        grow=steepness,
        key=key,
        budget=_named(budget),
        structure=element,
        schedule=needed(sparsity, schedule, "rigl", _EXAMPLE),
        every=every,
        drop=drop,
        is_prunable=is_prunable,
    )


def rigl_ucb(
    sparsity,
    *,
    key: Array,
    explore: float = 1e-3,
    budget: str = "erdos-renyi",
    drop: float = 0.3,
    schedule: Timing = None,
    every: int = 1,
    is_prunable: PathPredicate = is_kernel,
) -> Pruner:
    """RigL that also grows weights which were seldom there: an upper confidence bound.

    Args:
        sparsity: As in `static_sparse`; held at every step.
        key: A jax key, of the first masks.
        explore: What a weight that never was there gains over one that always was, >= 0.
        budget: As in `static_sparse`.
        drop: As in `regrowing`.
        schedule: As in `set_`.
        every: Steps between two regrowths, >= 1.
        is_prunable: As in `pruner`.

    Returns:
        The `Pruner`, with `observe`; its `update` needs `loss=`.

    Raises:
        ValueError: for a negative `explore`, and as `rigl`.

    Example:
        >>> from jgc.prune import window
        >>> prune = rigl_ucb(0.5, key=jax.random.key(0), schedule=lambda s: window(s, 0, 8))
        >>> params = {"kernel": jnp.ones((2, 2))}
        >>> state = prune.observe(prune.init(params), params, params)
        >>> int(state.memory[1][0])
        1

    References:
        The code of "Towards Sparsification of Graph Neural Networks" (arXiv 2209.04766):
        |g + explore ln(t) / (N + eps)|, N the gradients that found the weight there.
    """
    if not explore >= 0:
        raise ValueError(f"`explore` must be >= 0, got {explore}.")
    return regrowing(
        grow=_bounded(explore),
        key=key,
        budget=_named(budget),
        structure=element,
        schedule=needed(sparsity, schedule, "rigl_ucb", _EXAMPLE),
        every=every,
        drop=drop,
        is_prunable=is_prunable,
    )


def _steepness(params: Params, memory, **signals):
    del memory
    return jax.tree.map(lambda g: jnp.abs(g).astype(jnp.float32), slopes(params, signals, "rigl"))


# |dL/dw|, of missing weights too.
steepness = Score(init=lambda params: (), scores=_steepness, gradients=1)


def _anew(key: Array) -> Score:
    """Uniform scores, drawn anew at every step."""

    def scores(params: Params, memory, *, step, **signals):
        return random(key).scores(params, jax.random.fold_in(memory, step), **signals)

    return Score(init=random(key).init, scores=scores)


def _bounded(explore: float) -> Score:
    def init(params: Params):
        return jnp.zeros((), jnp.int32), jax.tree.map(
            lambda p: jnp.zeros(p.shape, jnp.float32), params
        )

    def observe(memory, params: Params, grads: Params):
        del grads
        t, visits = memory
        return t + 1, jax.tree.map(lambda n, p: n + (p != 0), visits, params)

    def scores(params: Params, memory, **signals):
        t, visits = memory
        bonus = explore * jnp.log(jnp.maximum(t, 1).astype(jnp.float32))
        grads = slopes(params, signals, "rigl_ucb")
        return jax.tree.map(lambda g, n: jnp.abs(g + bonus / (n + 1.0)), grads, visits)

    return Score(init, scores, observe, gradients=1)


def _named(budget: str) -> Budget:
    if budget not in BUDGETS:
        raise ValueError(f"`budget` must be one of {list(BUDGETS)}, got {budget!r}.")
    return BUDGETS[budget]
