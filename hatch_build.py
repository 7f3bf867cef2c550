"""Compiles jgc's kernels into a wheel or an editable install, where there is a compiler."""

import importlib.util
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Kernels(BuildHookInterface):
    """Adds the library to what is packed; without one the package is pure Python."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before it packs anything."""
        native = Path(self.root) / "jgc" / "native"
        spec = importlib.util.spec_from_file_location("compiler", native / "compiler.py")
        assert spec is not None and spec.loader is not None
        compiler = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(compiler)
        try:
            library = compiler.build(native)
        except (compiler.BuildError, OSError) as error:
            self.app.display_warning(f"jgc is built without its C++ kernels: {error}")
            return
        build_data["artifacts"].append(f"jgc/native/{library.name}")
        build_data["pure_python"] = False
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"py3-none-{platform}"
