"""The tables and the figure of README.md, from results.jsonl and times.jsonl.

python experiments/grades/table.py
"""

import json
import shutil
import tempfile
from pathlib import Path
from statistics import mean, median

from cases import CASES

from jgc.report.figure import write_figures
from jgc.study.stats import estimate, paired_difference
from jgc.study.store import Store

FOLDER = Path(__file__).parent


def main() -> None:
    """Prints scores and epochs, then times."""
    rows = Store(FOLDER).rows()
    lines = (FOLDER / "times.jsonl").read_text().splitlines()
    times = [json.loads(line) for line in lines]
    print("| data, model | rule | epochs | validation | test | GradES - this, paired |")
    print("|---|---|---:|---:|---:|---:|")
    for case in CASES:
        scores(case, [r for r in rows if (r["dataset"], r["model"]) == case[:2]])
    print("\n| data, model | patience, s | GradES, s | ratio | CPU seconds | ratio |")
    print("|---|---:|---:|---:|---:|---:|")
    for case in CASES:
        ratios(case, [t for t in times if (t["dataset"], t["model"]) == case[:2]])
    draw(rows)


def draw(rows) -> None:
    """Which matrix froze when."""
    frozen = [row for row in rows if "epochs_by_layer" in row]
    with tempfile.TemporaryDirectory() as folder:
        for path in write_figures(frozen, folder):
            if path.stem == "freezing":
                shutil.copy(path, FOLDER)


def rule_of(row) -> str:
    """Which rule a row is of, from its settings."""
    settings = row["config"]["settings"]
    grades = "rebuilt" if "grades_rebuilds" in settings else "GradES"
    return "patience" if "patience" in settings else (
        grades if "grades_threshold" in settings else "full")  # fmt: skip


def scores(case, rows) -> None:
    """A line for each rule."""
    by_rule: dict[str, dict] = {}
    for row in rows:
        by_rule.setdefault(rule_of(row), {})[row["seed"]] = row
    for rule, own in by_rule.items():
        epochs = mean(r.get("epochs", r["config"]["phases"][0]["epochs"]) for r in own.values())
        val, test = (said(estimate(r[part] for r in own.values())) for part in ("val", "test"))
        gap = ""
        if rule != "GradES" and "GradES" in by_rule:
            tests = ({s: r["test"] for s, r in each.items()} for each in (by_rule["GradES"], own))
            gap = said(paired_difference(*tests))
        print(f"| {case.dataset} {case.model} | {rule} | {epochs:.0f} | {val} | {test} | {gap} |")


def said(found) -> str:
    """In percent, with the half width of the 95 % interval."""
    return f"{100 * found.mean:.2f} ± {100 * (found.half_width or 0):.2f}"


def ratios(case, times) -> None:
    """Medians over rounds, compiling + running; ratios of each round."""
    rules = [[t for t in times if t["rule"] == rule] for rule in ("patience", "grades")]
    pairs = list(zip(*rules, strict=False))
    if not pairs:
        return
    shown = []
    for own in zip(*pairs, strict=True):
        parts = (median(t[part] for t in own) for part in ("compile_s", "run_s"))
        shown.append(" + ".join(f"{seconds:.1f}" for seconds in parts))
    whole = [(a["compile_s"] + a["run_s"]) / (b["compile_s"] + b["run_s"]) for a, b in pairs]
    cpu = [f"{median(t['cpu_s'] for t in own):.1f}" for own in zip(*pairs, strict=True)]
    shown += [each(whole), " / ".join(cpu), each([a["cpu_s"] / b["cpu_s"] for a, b in pairs])]
    print(f"| {case.dataset} {case.model} |", " | ".join(shown), "|")


def each(values) -> str:
    """One number a round."""
    return ", ".join(f"{value:.2f}" for value in values)


if __name__ == "__main__":
    main()
