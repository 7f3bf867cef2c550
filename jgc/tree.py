"""Names of parameters: one path string, whatever library made the tree."""

from collections.abc import Callable
from typing import Any

import jax

# Any pytree of arrays: a Linen dict, an NNX `State`, an Equinox module without its functions.
Tree = Any
PathPredicate = Callable[[str, Any], bool]

_KERNEL_NAMES = ("kernel", "weight")


def path_name(path) -> str:
    """The name of a leaf: `"conv1/kernel"` in Linen, NNX and Equinox trees alike.

    Args:
        path: Key path of the leaf, as `jax.tree_util.tree_map_with_path` gives it.

    Returns:
        The keys joined by `/`, without the `/value` that NNX variables append.

    Example:
        >>> paths = jax.tree_util.tree_leaves_with_path({"conv1": {"kernel": 1.0}})
        >>> path_name(paths[0][0])
        'conv1/kernel'
    """
    return jax.tree_util.keystr(path, simple=True, separator="/").removesuffix("/value")


def named_leaves(tree: Tree) -> dict[str, Any]:
    """The leaves of a tree by name, in the tree's own order.

    Raises:
        ValueError: if a leaf is no array (an activation function inside an Equinox module, a
            Python number) or two leaves share a name.

    Example:
        >>> import numpy as np
        >>> list(named_leaves({"conv1": {"bias": np.zeros(2), "kernel": np.zeros((3, 2))}}))
        ['conv1/bias', 'conv1/kernel']
    """
    named: dict[str, Any] = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        name = path_name(path)
        if not hasattr(leaf, "shape"):
            raise ValueError(
                f"`params` leaf {name!r} is a {type(leaf).__name__}, not an array. Keep the arrays "
                "only, for instance `equinox.filter(model, equinox.is_array)`."
            )
        if name in named:
            raise ValueError(f"`params` has two leaves named {name!r}; names must be unique.")
        named[name] = leaf
    return named


def map_named(function: Callable, tree: Tree, *rest: Tree) -> Tree:
    """`jax.tree.map` whose function also receives the leaf's name, first.

    Example:
        >>> map_named(lambda name, x: f"{name}={x}", {"a": 1, "b": {"c": 2}})
        {'a': 'a=1', 'b': {'c': 'b/c=2'}}
    """
    return jax.tree_util.tree_map_with_path(
        lambda path, *leaves: function(path_name(path), *leaves), tree, *rest
    )


def is_kernel(name: str, leaf) -> bool:
    """Whether a leaf is the matrix of a layer: last name `kernel` or `weight`, two axes or more.

    Biases, batch norm, embeddings and attention vectors are not.

    Example:
        >>> import numpy as np
        >>> is_kernel("conv1/kernel", np.zeros((3, 2))), is_kernel("norm/weight", np.zeros(2))
        (True, False)
    """
    return name.rsplit("/", 1)[-1] in _KERNEL_NAMES and len(leaf.shape) >= 2


def chosen(tree: Tree, predicate: PathPredicate, argument: str) -> tuple[str, ...]:
    """Names of the leaves that a predicate accepts; accepting none is an error.

    Args:
        tree: Tree of arrays.
        predicate: `(name, leaf) -> bool`.
        argument: The caller's name of the predicate, for the message.

    Returns:
        The names, in the tree's order.

    Raises:
        ValueError: if the predicate accepts no leaf.

    Example:
        >>> import numpy as np
        >>> chosen({"bias": np.zeros(2), "kernel": np.zeros((3, 2))}, is_kernel, "is_prunable")
        ('kernel',)
    """
    leaves = named_leaves(tree)
    names = tuple(name for name, leaf in leaves.items() if predicate(name, leaf))
    if not names:
        raise ValueError(
            f"`{argument}` matched none of the {len(leaves)} parameters: {list(leaves)}. It is "
            "called with (name, leaf); the default asks for `kernel` or `weight` with 2 axes."
        )
    return names


def output_axis(name: str) -> int:
    """Axis of a kernel's output units: last for `kernel`, first for Equinox's `weight`.

    Example:
        >>> output_axis("conv1/kernel"), output_axis("layers/0/weight")
        (-1, 0)
    """
    return 0 if name.rsplit("/", 1)[-1] == "weight" else -1


def input_axis(name: str) -> int:
    """Axis of a kernel's input units: last but one for `kernel`, second for Equinox's `weight`.

    Example:
        >>> input_axis("conv1/kernel"), input_axis("layers/0/weight")
        (-2, 1)
    """
    return 1 if name.rsplit("/", 1)[-1] == "weight" else -2
