"""Compiling the kernels: where they go, and what is said when they cannot be compiled."""

import shutil
import subprocess
import sys

import pytest

from jgc import native
from jgc.native import compiler as building


def test_the_name_tells_sources_and_interface(tmp_path, monkeypatch):
    name = building.file_name()
    assert name.startswith("kernels-") and "-ffi" in name and name.endswith(".so")
    for source in building.SOURCES:
        shutil.copy(building.HERE / source, tmp_path)
    monkeypatch.setattr(building, "HERE", tmp_path)
    assert building.file_name() == name
    with (tmp_path / "pool.h").open("a") as file:
        file.write("// changed\n")
    assert building.file_name() != name


def test_what_is_there_is_not_compiled_again(tmp_path, monkeypatch):
    (tmp_path / building.file_name()).write_bytes(b"there")
    monkeypatch.setenv("CXX", "false")
    assert building.build(tmp_path).read_bytes() == b"there"


def test_without_a_compiler_it_says_so(tmp_path, monkeypatch):
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(building.shutil, "which", lambda name: None)
    with pytest.raises(building.BuildError, match="no C\\+\\+ compiler"):
        building.build(tmp_path / "new")
    assert not list(tmp_path.rglob("*.so"))


def test_a_compiler_that_fails_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", "false")
    with pytest.raises(building.BuildError, match="false failed"):
        building.build(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_library_that_cannot_be_loaded_is_a_reason_and_no_crash(tmp_path, monkeypatch):
    (tmp_path / building.file_name()).write_bytes(b"not a library")
    monkeypatch.setattr(native, "__file__", str(tmp_path / "__init__.py"))
    native.status.cache_clear()
    try:
        status = native.status()
    finally:
        native.status.cache_clear()
    assert not status.ready and building.file_name() in status.reason


def test_building_needs_nothing_of_jgc():
    code = (
        "import sys, importlib.util as u\n"
        f"spec = u.spec_from_file_location('b', {str(building.HERE / 'compiler.py')!r})\n"
        "module = u.module_from_spec(spec); spec.loader.exec_module(module); module.file_name()\n"
        "assert not {'jgc', 'jax', 'pooch'} & set(sys.modules), sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
