"""Coverage-guided fuzzing of one target, or of all, with atheris (`pip install 'jgc[fuzz]'`).

    python -m tests.fuzz.run --target planetoid --inputs 10000
    python -m tests.fuzz.run --out rows.jsonl

Every target runs in a process of its own and ends with a row: inputs, right answers, clear errors,
faults, the slowest input and the most memory that one input added. The first input of each kind of
fault is kept in `--faults`. The exit status is 1 if there was any.
"""

import argparse
import hashlib
import json
import resource
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

# A file of a few kB may take that much and no more: what archives may unpack to in any case
# (`jgc.data.unpack`), twice over, and the working memory of a reader.
MEMORY_MB = 256
SECONDS = 10.0


class Watch:
    """Judges inputs one by one and keeps count."""

    def __init__(self, target, folder: Path, faults: Path):
        self.target, self.folder, self.faults = target, folder, faults
        self.inputs = self.answers = self.errors = 0
        self.slowest_s = self.grown_mb = 0.0
        self.found: dict[str, str] = {}
        self.began = time.monotonic()

    def one(self, data: bytes) -> None:
        """Judges one input; a fault is noted, so that one does not hide the next."""
        from tests.fuzz.target import judge

        self.inputs += 1
        before, began = _peak_mb(), time.monotonic()
        try:
            right = judge(self.target, data, self.folder)
            self.answers, self.errors = self.answers + right, self.errors + (not right)
        except Exception as error:
            self.note(data, _where(error))
        took, grew = time.monotonic() - began, _peak_mb() - before
        self.slowest_s, self.grown_mb = max(self.slowest_s, took), max(self.grown_mb, grew)
        if took > SECONDS:
            self.note(data, f"took {took:.0f} s")
        if grew > MEMORY_MB:
            self.note(data, f"took {grew:.0f} MB")

    def note(self, data: bytes, what: str) -> None:
        """Keeps the first input of a kind of fault."""
        if what in self.found:
            return
        name = f"{self.target.name}-{hashlib.sha256(data).hexdigest()[:8]}"
        self.faults.mkdir(parents=True, exist_ok=True)
        (self.faults / name).write_bytes(data)
        self.found[what] = name
        print(f"{name}: {what}", file=sys.stderr, flush=True)

    def row(self) -> dict:
        """What to report."""
        return {
            "target": self.target.name, "inputs": self.inputs, "answers": self.answers,
            "errors": self.errors, "faults": self.found, "slowest_s": round(self.slowest_s, 2),
            "grown_mb": round(self.grown_mb, 1), "s": round(time.monotonic() - self.began, 1),
        }  # fmt: skip


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _where(error: Exception) -> str:
    """Kind of error and the innermost line of jgc or of these tests that it passed."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if "/jgc/" in f.filename or "/fuzz/" in f.filename]
    place = f"{'/'.join(Path(ours[-1].filename).parts[-2:])}:{ours[-1].lineno}" if ours else "?"
    return f"{type(error).__name__} at {place}: {str(error)[:160]}"


def fuzz(name: str, inputs: int, seed: int, faults: Path) -> None:
    """Runs one target in this process, which atheris then ends."""
    import atheris

    with atheris.instrument_imports(include=["jgc.data", "jgc.study", "jgc.pack", "jgc.report"]):
        from tests.fuzz.targets import TARGETS
    target = TARGETS[name]
    scratch = tempfile.TemporaryDirectory()
    corpus, folder = (Path(scratch.name, part) for part in ("corpus", "folder"))
    corpus.mkdir(), folder.mkdir()
    for i, data in enumerate(target.seeds):
        (corpus / str(i)).write_bytes(data)
    words = Path(scratch.name, "words")
    # An empty dictionary is an error to libFuzzer.
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in target.words or (b"0",)))
    watch = Watch(target, folder, faults)

    def one_input(data: bytes) -> None:
        watch.one(data)
        if watch.inputs == inputs:
            print("row " + json.dumps(watch.row()), flush=True)

    longest = max(4096, *(2 * len(data) for data in target.seeds))
    # libFuzzer counts an empty input of its own; it ends well after ours.
    options = [f"-runs={inputs + 50}", f"-seed={seed}", f"-max_len={longest}", f"-dict={words}"]
    quiet = ["-verbosity=0", "-print_final_stats=0", "-timeout=120", "-rss_limit_mb=0"]
    atheris.Setup([sys.argv[0], *options, *quiet, str(corpus)], one_input)
    atheris.Fuzz()


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


def main() -> None:
    """Runs the targets one after the other, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", action="append", help="all of them by default")
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--faults", type=Path, default=Path("faults"))
    parser.add_argument("--out", type=Path, help="append the rows to this file")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    words = parser.parse_args()
    if words.child:
        fuzz(words.target[0], words.inputs, words.seed, words.faults)
    from tests.fuzz.targets import TARGETS

    clean = True
    for name in words.target or TARGETS:
        row = _in_a_process(name, words)
        print(json.dumps(row), flush=True)
        if words.out is not None:
            with words.out.open("a") as file:
                print(json.dumps(row), file=file)
        clean &= not row["faults"] and row["inputs"] >= words.inputs
    sys.exit(not clean)


def _in_a_process(name: str, words) -> dict:
    command = [
        sys.executable, "-m", "tests.fuzz.run", "--child", "--target", name,
        "--inputs", str(words.inputs), "--seed", str(words.seed), "--faults", str(words.faults),
    ]  # fmt: skip
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    rows = [line[4:] for line in done.stdout.splitlines() if line.startswith("row ")]
    if rows:
        return json.loads(rows[-1])
    return {"target": name, "inputs": 0, "faults": {f"ended with status {done.returncode}": ""}}


if __name__ == "__main__":
    main()
