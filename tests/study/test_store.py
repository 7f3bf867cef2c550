import errno
import json
import subprocess
import sys
from pathlib import Path

import pytest

from jgc.study import store as store_module
from jgc.study.store import Store

ROOT = Path(__file__).parents[2]


def make(seed: int, **more) -> dict:
    return {
        "dataset": "cora", "task": "node", "model": "gcn", "method": "dense", "seed": seed,
        "metric": "accuracy", "test": 0.8, "config": {"seed": seed}, **more,
    }  # fmt: skip


def seeds(store: Store) -> list[int]:
    return [row["seed"] for row in store.rows()]


def test_rows_come_back_in_order_and_a_key_is_written_once(tmp_path):
    store = Store(tmp_path / "new" / "folder")
    assert store.rows() == [] and store.keys() == set()
    assert store.append([make(1), make(0), make(1, test=0.1)]) == 2
    assert store.append([make(0), make(2)]) == 1
    again = Store(store.folder)
    assert seeds(again) == [1, 0, 2] and again.rows()[0]["test"] == 0.8
    assert again.keys() == {row["key"] for row in again.rows()}
    assert len(again.path.read_text().splitlines()) == 3


def test_a_bad_row_writes_nothing(tmp_path):
    store = Store(tmp_path)
    with pytest.raises(ValueError, match="`test` of a row is 80"):
        store.append([make(0), make(1, test=80)])
    assert not store.path.exists()


def test_of_two_lines_with_one_key_the_first_wins(tmp_path):
    Store(tmp_path).append([make(0)])
    line = (tmp_path / "results.jsonl").read_text()
    (tmp_path / "results.jsonl").write_text(line + line.replace("0.8", "0.3"))
    assert [row["test"] for row in Store(tmp_path).rows()] == [0.8]


def test_two_stores_see_each_other(tmp_path):
    one, two = Store(tmp_path), Store(tmp_path)
    one.append([make(0)])
    assert two.append([make(0), make(1)]) == 1
    assert seeds(one) == seeds(two) == [0, 1]


@pytest.mark.parametrize("cut", [1, 20, 100])
def test_a_partial_last_line_is_moved_away_and_reported(tmp_path, cut):
    Store(tmp_path).append([make(0), make(1)])
    path, said = tmp_path / "results.jsonl", []
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    path.write_bytes(whole[: first + cut])
    store = Store(tmp_path, report=said.append)
    assert seeds(store) == [0] and path.read_bytes() == whole[:first]
    partial = (tmp_path / "results.jsonl.partial").read_bytes()
    assert partial == whole[first : first + cut] + b"\n"
    assert len(said) == 1 and f"cut short ({cut} bytes" in said[0]
    store.append([make(1)])
    assert path.read_bytes() == whole


def test_a_whole_last_line_only_lacks_its_newline(tmp_path):
    Store(tmp_path).append([make(0)])
    path, said = tmp_path / "results.jsonl", []
    path.write_bytes(path.read_bytes()[:-1])
    store = Store(tmp_path, report=said.append)
    store.append([make(1)])
    assert seeds(Store(tmp_path)) == [0, 1] and not said


@pytest.mark.parametrize(
    "line, message",
    [
        ("{broken", "line 2: not JSON"),
        ("[1]", "line 2: a row is an object"),
        ('{"dataset": "cora"}', "line 2: A row must have the key `task`"),
        ("", "line 2: not JSON"),
    ],
)
def test_a_malformed_line_is_an_error_with_its_place_and_loses_nothing(tmp_path, line, message):
    Store(tmp_path).append([make(0), make(1)])
    path = tmp_path / "results.jsonl"
    first, second = path.read_text().splitlines()
    text = f"{first}\n{line}\n{second}\n"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        Store(tmp_path)
    assert str(path) in str(error.value) and path.read_text() == text


def test_a_full_disk_leaves_whole_rows_only(tmp_path, monkeypatch):
    store = Store(tmp_path)
    store.append([make(0)])
    written = []

    def nearly_full(file, data):
        written.append(data)
        if len(written) == 2:
            file.write(data[:30])
            raise OSError(errno.ENOSPC, "No space left on device")
        file.write(data)

    with monkeypatch.context() as patch:
        patch.setattr(store_module, "_write_all", nearly_full)
        with pytest.raises(OSError, match="No space left on device; the 2 rows.*safe") as error:
            store.append([make(1), make(2), make(3)])
    assert error.value.errno == errno.ENOSPC and error.value.filename == str(store.path)
    lines = store.path.read_text().splitlines(keepends=True)
    assert [json.loads(line)["seed"] for line in lines] == [0, 1]
    assert all(line.endswith("\n") for line in lines)
    assert store.append([make(1), make(2), make(3)]) == 2
    assert seeds(Store(tmp_path)) == [0, 1, 2, 3]


def test_a_write_that_takes_only_part_of_a_line_is_continued(tmp_path):
    class Slow:
        def __init__(self):
            self.data = b""

        def write(self, data):
            self.data += data[:3]
            return len(data[:3])

    file = Slow()
    store_module._write_all(file, b"0123456789")
    assert file.data == b"0123456789"


def test_a_lock_that_is_never_released_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "LOCK_SECONDS", 0.05)
    store = Store(tmp_path)
    with store._lock(), pytest.raises(OSError, match="held by another process"):
        Store(tmp_path).append([make(0)])


WRITER = """
import sys
from tests.study.test_store import make
from jgc.study.store import Store
store, first = Store(sys.argv[1]), int(sys.argv[2])
for seed in range(first, first + 40):
    store.append([make(seed, split="x" * 5000)])
"""


def test_two_processes_never_tear_a_line_nor_write_a_key_twice(tmp_path):
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), first], cwd=ROOT)
        for first in ("0", "20")
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    lines = (tmp_path / "results.jsonl").read_text().splitlines()
    assert sorted(json.loads(line)["seed"] for line in lines) == list(range(60))


KILLED = """
import os, sys
from tests.study.test_store import make
from jgc.study import store
def die(file, data):
    file.write(data[:40])
    os._exit(9)
it = store.Store(sys.argv[1])
it.append([make(0)])
store._write_all = die
it.append([make(1)])
"""


def test_a_killed_writer_loses_only_the_line_it_was_writing(tmp_path):
    code = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], cwd=ROOT).returncode
    said: list[str] = []
    assert code == 9 and seeds(Store(tmp_path, report=said.append)) == [0] and len(said) == 1


@pytest.mark.parametrize(
    "line, message",
    [
        (b"[" * 100_000, "line 2: not JSON"),
        (b'{"config":' + b"[" * 50_000 + b"]" * 50_000 + b"}", "line 2: "),
        (b"\xff\xfe", "line 2: not JSON"),
        (make(1, bytes_file=10**400), "line 2: `bytes_file` of a row is 10000"),
        (make(1, latency_ms=10**400), "line 2: `latency_ms` of a row is 10000"),
        (make(1, device="\ud800"), "line 2: `device` of a row is "),
        (make(1, layers={"conv1": "all"}), "line 2: `layers` of a row is .*finite numbers"),
        (make(1, scores={"macro_f1": float("nan")}), "line 2: `scores` of a row is "),
    ],
    ids=range(8),
)
def test_a_line_from_anywhere_is_an_error_with_its_place(tmp_path, line, message):
    Store(tmp_path).append([make(0)])
    text = line if isinstance(line, bytes) else json.dumps(line).encode()
    with (tmp_path / "results.jsonl").open("ab") as file:
        file.write(text + b"\n")
    with pytest.raises(ValueError, match=message) as error:
        Store(tmp_path)
    assert str(tmp_path / "results.jsonl") in str(error.value) and len(str(error.value)) < 1000
