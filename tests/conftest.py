"""Settings and fixtures of all tests."""

import os
import tempfile
from importlib.metadata import version
from pathlib import Path

# These programs run for milliseconds and compile for seconds: LLVM need not try hard, and loops of
# the older emitter compile in half the time. Where that one is gone, XLA refuses the flag.
FLAGS = ["--xla_backend_optimization_level=0"]
if tuple(map(int, version("jaxlib").split(".")[:2])) < (0, 12):
    FLAGS.append("--xla_cpu_use_fusion_emitters=false")
os.environ.setdefault("XLA_FLAGS", " ".join(FLAGS))

import jax  # noqa: E402 - reads the flags
import pytest  # noqa: E402

# Two devices, so that lanes really are split over devices on any machine.
jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_numpy_rank_promotion", "raise")


def pytest_configure(config):
    """All workers share what they compile, which is most of the time of these tests."""
    if hasattr(config, "workerinput"):
        folder = config.workerinput["compiled"]
    else:
        config.compiled = tempfile.TemporaryDirectory()
        config.add_cleanup(config.compiled.cleanup)
        folder = config.compiled.name
    jax.config.update("jax_compilation_cache_dir", folder)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Marks the cases of `again.txt` slow, before `-m` is looked at; each must still exist."""
    lines = (Path(__file__).parent / "again.txt").read_text("utf-8").splitlines()
    again = {line for line in lines if not line.startswith("#")}
    found = {item.nodeid: item for item in items}
    for name in again & found.keys():
        found[name].add_marker(pytest.mark.slow)
    files = {name.partition("::")[0] for name in found}
    gone = [n for n in again - found.keys() if n.partition("::")[0] in files]
    if gone and not any("::" in argument for argument in config.args):
        raise pytest.UsageError(f"tests/again.txt names what is no test: {', '.join(gone)}")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node):
    """Tells a worker of pytest-xdist where."""
    node.workerinput["compiled"] = node.config.compiled.name


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
