"""A disk that is really full and a folder that is really read-only, for root too.

Both are a tmpfs in a mount namespace of the child's own, which ends with it.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UNSHARE = ["unshare", "--mount", "--propagation", "private"]
MOUNT = ["mount", "-t", "tmpfs", "-o", "size=96k", "none"]

HEAD = """
import errno, subprocess, sys
from pathlib import Path
import pytest
from tests.faults import test_disk as test
folder = Path(sys.argv[1])
subprocess.run([*{mount}, str(folder)], check=True)
"""
FULL = """
store = test.Store(folder)
with pytest.raises(OSError, match="rows already there are safe. Make space") as caught:
    for seed in range(10_000):
        store.append([test.make(seed, split="x" * 500)])
assert caught.value.errno == errno.ENOSPC
n_row = len(test.Store(folder).rows())
assert 50 < n_row == len(store.rows())
with pytest.raises(OSError):
    test.pack.save(folder / "model.safetensors", test.LARGE)
assert [path.name for path in folder.glob("*safetensors*")] == []
with pytest.raises(OSError, match="cannot be written|No space"):
    test.note(folder)
with pytest.raises(OSError):
    test.write_report(folder)
assert len(test.Store(folder).rows()) == n_row
"""
READ_ONLY = """
store = test.Store(folder)
store.append([test.make(0)])
subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
assert test.rows(folder) == 1
for work in (test.append, test.save, test.note, test.tell):
    with pytest.raises(OSError) as caught:
        work(folder)
    assert str(caught.value)
for words in (["report", folder], ["study", "quickstart", "--resume", "--out", folder]):
    command = [sys.executable, "-m", "jgc", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.splitlines()[-1].startswith("error: "), done.stderr
    assert "Read-only" in done.stderr and "Traceback" not in done.stderr, done.stderr
"""


@pytest.mark.slow
@pytest.mark.parametrize("work", [FULL, READ_ONLY], ids=["full", "read-only"])
def test_a_real_disk(work, tmp_path):
    if (
        shutil.which("unshare") is None
        or subprocess.run([*UNSHARE, *MOUNT, str(tmp_path)]).returncode
    ):
        pytest.skip("a disk of one's own: mounting takes Linux and the rights of root")
    code = HEAD.format(mount=MOUNT) + work
    done = subprocess.run(
        [*UNSHARE, sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, timeout=300,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
