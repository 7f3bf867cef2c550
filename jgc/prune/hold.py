"""`hold_at_zero`: the last link of the optimiser chain."""

import jax
import jax.numpy as jnp
import optax


def hold_at_zero() -> optax.GradientTransformationExtraArgs:
    """Holds pruned weights at exactly 0, whatever momentum or decay would do.

    Masking gradients alone does not: one AdamW step moves masked weights by its momentum. Make
    this the last link of the chain and hand the masks to every update; the first update also sets
    weights to 0 that have just been pruned.

    Returns:
        An optax transformation whose `update` takes `params` and `masks=`.

    Raises:
        ValueError: from `update`, without `params` or `masks`.

    Example:
        >>> params, masks = {"w": jnp.array([2.0, 3.0])}, {"w": jnp.array([True, False])}
        >>> tx = optax.chain(optax.adamw(0.1), hold_at_zero())
        >>> updates, _ = tx.update(params, tx.init(params), params, masks=masks)
        >>> float(optax.apply_updates(params, updates)["w"][1])
        0.0
    """

    def init(params):
        del params
        return optax.EmptyState()

    def update(updates, state, params=None, **extra_args):
        masks = extra_args.get("masks")
        if params is None or masks is None:
            raise ValueError(
                "`hold_at_zero` needs `params` and `masks`: call "
                "`tx.update(grads, opt_state, params, masks=prune_state.masks)`."
            )
        held = jax.tree.map(lambda u, p, m: jnp.where(m, u, -p), updates, params, masks)
        return held, state

    return optax.GradientTransformationExtraArgs(init, update)
