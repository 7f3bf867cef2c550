"""Checkpoints of a running program, by orbax, with a note of what they belong to."""

import errno
import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

# What orbax, tensorstore and zarr raise for files that are cut off or absent.
_DAMAGED = (ValueError, OSError, LookupError, TypeError, AttributeError, RuntimeError)
# States, their notes, notes on the way and orbax's own scratch folders.
_OURS = re.compile(r"\d+(\.json|\.note|\.orbax-checkpoint-tmp.*)?$", re.ASCII)


class Checkpoint:
    """The newest state of one program in a folder.

    A state is written beside its predecessor, which is removed only when the new one is whole, so
    that a kill at any moment leaves one that can be loaded. It goes to orbax, and comes back, as
    numpy arrays: of jax's own orbax has tensorstore count the bytes, which leaks at every call.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Checkpoint(folder, "a program").restore(None)
        (None, 0)
    """

    def __init__(self, folder: str | Path, identity: Any):
        """Opens a folder for the program that `identity` (anything with a stable `repr`) names."""
        self.folder = Path(folder).absolute()
        self.identity = hashlib.sha256(repr(identity).encode()).hexdigest()[:16]
        self.folder.mkdir(parents=True, exist_ok=True)
        self._store = ocp.StandardCheckpointer()

    def save(self, state: Any, epoch: int) -> None:
        """Writes the state after `epoch` epochs and drops older ones, and what kills left.

        Raises:
            OSError: if it cannot be written; the newest one that was there stays.
        """
        try:
            self._store.save(self.folder / str(epoch), jax.device_get(state), force=True)
            self._store.wait_until_finished()
        except (ValueError, RuntimeError) as error:  # So tensorstore says that the disk is full.
            raise OSError(
                errno.EIO,
                f"the checkpoint of epoch {epoch} cannot be written ({str(error)[:120]}...). "
                "Is the disk full? Make space and run again with --resume",
                str(self.folder),
            ) from error
        # The note appears whole or not at all, and only once the state is there.
        note = self.folder / f"{epoch}.note"
        note.write_text(json.dumps({"identity": self.identity, "epoch": epoch}))
        note.replace(self.folder / f"{epoch}.json")
        kept = {str(epoch), f"{epoch}.json"}
        older = [p for p in self.folder.iterdir() if _OURS.match(p.name) and p.name not in kept]
        for path in sorted(
            older, key=Path.is_dir
        ):  # Notes go before the states that they vouch for.
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()

    def restore(self, shapes: Any) -> tuple[Any, int]:
        """The newest whole state and its epoch, or `(None, 0)`.

        Args:
            shapes: `jax.ShapeDtypeStruct`s with shardings, as the state.

        Returns:
            `(state, epoch)`.

        Raises:
            ValueError: if the folder holds the state of another program, or a damaged one.
        """
        steps = self._steps()
        if not steps:
            return None, 0
        epoch = max(steps)
        path = self.folder / f"{epoch}.json"
        try:
            identity = json.loads(path.read_text())["identity"]
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            raise ValueError(f"{path}: no note of a checkpoint; remove {self.folder}.") from error
        if identity != self.identity:
            raise ValueError(
                f"{self.folder} holds a checkpoint of another model, method or set of lanes; "
                "choose another folder or remove it."
            )
        arrays = jax.tree.map(lambda leaf: np.empty(leaf.shape, leaf.dtype), shapes)
        shardings = jax.tree.map(lambda leaf: leaf.sharding, shapes)
        try:
            state = self._store.restore(self.folder / str(epoch), arrays)
            return jax.device_put(state, shardings), epoch
        except _DAMAGED as error:
            said = f"{error!s:.200}".partition("\n")[0]
            raise ValueError(
                f"{self.folder / str(epoch)}: damaged, or of another jgc ({said}); remove "
                f"{self.folder}."
            ) from error

    def remove(self) -> None:
        """Deletes the folder once its result is safe elsewhere."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _steps(self) -> list[int]:
        """Epochs with a note: the note is written last, so their state is whole."""
        return [int(p.stem) for p in self.folder.glob("*.json") if re.fullmatch("[0-9]+", p.stem)]


def fingerprint(arrays: Any) -> str:
    """A digest of the leaves of a pytree, their shapes and types included.

    Example:
        >>> fingerprint({"a": np.zeros(2)}) == fingerprint({"a": np.zeros((2, 1))})
        False
    """
    digest = hashlib.sha256()
    for leaf in map(np.asarray, jax.tree.leaves(arrays)):
        digest.update(f"{leaf.dtype} {leaf.shape}".encode())
        digest.update(leaf.tobytes())
    return digest.hexdigest()[:16]
