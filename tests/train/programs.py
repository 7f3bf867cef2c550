"""Equal programs are compiled once, and without optimisation: compiling is most of the time."""

from contextlib import contextmanager

import jax
import pytest
from jax import stages

QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}


class Programs:
    """Executables by their text; counts what really went to the compiler."""

    def __init__(self):
        self.compilations = 0
        self._compiled = {}
        self._compile = stages.Lowered.compile

    def compile(self, lowered, *args, **kwargs):
        del args, kwargs
        # Arguments of other trees may be the same arrays to XLA.
        program = lowered.as_text(), lowered.in_tree, lowered.out_tree
        if program not in self._compiled:
            self._compiled[program] = self._compile(lowered, compiler_options=QUICK)
        return self._compiled[program]

    def count(self, event: str, seconds: float, **about) -> None:
        del seconds
        if event.endswith("backend_compile_duration") and about.get("fun_name") == "jit(mapped)":
            self.compilations += 1


@contextmanager
def shared_programs():
    """Every `Lowered.compile` goes through one `Programs`."""
    shared = Programs()
    jax.monitoring.register_event_duration_secs_listener(shared.count)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stages.Lowered, "compile", lambda *a, **k: shared.compile(*a, **k))
        yield shared
