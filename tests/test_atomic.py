import errno
import os

import pytest

from jgc.atomic import write_atomic


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, step):
    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "report.html").write_text("old")
    monkeypatch.setattr(os, step, full)
    with pytest.raises(OSError, match="No space left"):
        write_atomic(tmp_path / "report.html", b"new")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_the_new_file_is_whole(tmp_path):
    for data in (b"old", b"new" * 10_000):
        write_atomic(tmp_path / "report.html", data)
        assert [path.read_bytes() for path in tmp_path.iterdir()] == [data]
