"""Settings and fixtures of all tests."""

import os
from pathlib import Path

import jax
import pytest

# Two devices, so that lanes really are split over devices on any machine.
jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of real public data; tests that need it skip loudly where it is not given."""
    folder = os.environ.get("JGC_DATA_DIR")
    if not folder or not Path(folder).is_dir():
        pytest.skip(f"real data: set JGC_DATA_DIR to a folder with the raw files (is {folder!r})")
    return Path(folder)


@pytest.fixture(scope="module", autouse=True)
def _forget_programs():
    """Drops what a module compiled: kept, the programs of all modules take gigabytes."""
    yield
    jax.clear_caches()
