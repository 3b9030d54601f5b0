"""The ledger: which cells are done, which are outstanding, and what they will cost. Starts nothing.

    python -m polyprune.workflow.ledger [study | table | figure | cell …] [--configfile FILE] [--json]

What is outstanding is what Snakemake's own dry run would do, job by job (through the logger plugin beside this
package), so a changed setting counts as well as a missing file. What a job will cost is the median of the benchmark
records of jobs of the same rule, model and method where there are some; else a formula: operations over
`engine.planning_flops`.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml

from polyprune.errors import UserError
from polyprune.grammar.paths import PAPER, Cell, cell_of
from polyprune.settings.config import Settings
from polyprune.settings.load import SHIPPED_FILES, load_settings
from polyprune.workflow import costs
from polyprune.workflow.bundles import record_key, recorded_rule
from polyprune.workflow.targets import check_target

GPU_RULES = ("measure_outliers", "prune_model", "reconstruct_model", "dump", "count_activations", "evaluate")
"""Beginnings of the names of rules that ask for a GPU."""
COMPOSING = "compose_"
"""Of those that need none and write cells."""
EVALUATION_BYTES = 2e6
"""Scores and items of one benchmark, a few megabytes."""
OUTLIERS_BYTES = 1e4
"""A fraction a layer."""


@dataclass
class Line:
    """One row of the ledger: a model, method and scheme; or, with empty names, the total."""

    model: str = ""
    method: str = ""
    scheme: str = ""
    done: int = 0
    incomplete: int = 0
    outstanding: int = 0
    gpu_hours: float = 0.0
    gigabytes: float = 0.0
    sources: set[str] = field(default_factory=set)

    def add(self, other: Line) -> None:
        """Add the counts, costs and sources of another line to this one, which keeps its names."""
        self.done += other.done
        self.incomplete += other.incomplete
        self.outstanding += other.outstanding
        self.gpu_hours += other.gpu_hours
        self.gigabytes += other.gigabytes
        self.sources |= other.sources


def cells_of(settings: Settings, targets: Sequence[str]) -> list[Cell]:
    """The cells that the targets are made of: a study's, a table's, a figure's, or the one a path names.

    Without targets those of all studies.

    Raises:
        UserError: a target is neither; names the nearest spelling.
    """
    cells: list[Cell] = []
    for target in targets or sorted(settings.studies):
        if target in settings.studies:
            cells += settings.studies[target].all_cells()
        elif cell := cell_of(target):
            check_target(target, settings)
            cells.append(cell)
        else:
            check_target(target, settings)
            parts = target.split("/")
            name = parts[1] if len(parts) > 2 else PAPER
            stem = parts[-1].split(".")[0]
            study = settings.studies.get(name)
            if study is None or stem not in {*study.tables, *study.figures}:
                raise UserError(f"{target} is not a study, a table, a figure or a cell")
            cells += study.cells(stem)
    return list(dict.fromkeys(cells))


def planned_jobs(targets: Sequence[str], words: Sequence[str]) -> list[dict[str, Any]]:
    """Jobs that Snakemake would run for the targets: rule, wildcards, output.

    Raises:
        UserError: Snakemake cannot plan them; with its own words.
    """
    packages = str(Path(__file__).parents[2])
    with tempfile.NamedTemporaryFile(suffix=".jsonl") as stream:
        environment = os.environ | {"POLYPRUNE_LEDGER": stream.name, "PYTHONPATH": packages}
        command = [sys.executable, "-m", "snakemake", "--profile", "local", "-n", "--logger", "ledger", *words]
        run = subprocess.run([*command, "--", *targets], env=environment, capture_output=True, text=True)
        if run.returncode:
            raise UserError(f"snakemake cannot plan {' '.join(targets)}:\n{(run.stdout + run.stderr).strip()}")
        return [json.loads(line) for line in Path(stream.name).read_text(encoding="utf-8").splitlines()]


def incomplete_outputs(folder: Path = Path(".snakemake/incomplete")) -> set[str]:
    """Outputs that Snakemake began and did not finish, or is at work on: its own markers, named in base64."""
    if not folder.is_dir():
        return set()
    names = (path.name for path in folder.rglob("*") if path.is_file())
    return {base64.b64decode(name + "=" * (-len(name) % 4), altchars=b"-_").decode(errors="replace") for name in names}


def benchmark_seconds(logs: Path = Path("logs")) -> dict[tuple[str, str, str], float]:
    """Median seconds of finished jobs by rule, model and method, from `{rule}.benchmark.jsonl` files."""
    seconds: dict[tuple[str, str, str], list[float]] = {}
    for path in sorted(logs.rglob("*.benchmark.jsonl")):
        parts = list(path.relative_to(logs).parts)
        is_cell = len(parts) > 4 and parts[4].startswith("seed")
        variant = "cell" if is_cell else "dense"
        rule = path.name.removesuffix(".benchmark.jsonl")
        if parts[-2] == "hidden_states":
            rule = recorded_rule(rule, variant)
        elif parts[-2] == "evaluation":
            rule = f"evaluate_{rule}"
        elif parts[-3:-2] == ["activations"]:
            rule = f"count_activations_{variant}"
        for line in path.read_text(encoding="utf-8").splitlines():
            key = (rule, parts[0], parts[1] if is_cell else "")
            seconds.setdefault(key, []).append(float(json.loads(line)["s"]))
    return {key: statistics.median(values) for key, values in seconds.items()}


def job_seconds(job: Mapping[str, Any], settings: Settings, records: Mapping[Any, float]) -> tuple[float, str]:
    """Seconds a job will take, and whether a `benchmark` or the `formula` says so."""
    key = record_key(job["rule"], job["wildcards"])
    if key in records:
        return records[key], "benchmark"
    model = settings.models[job["wildcards"]["model"]]
    if job["rule"].startswith("dump"):
        variants = {path.rpartition("/")[0] for path in job["output"]}
        n_cells = len(variants) if "method" in job["wildcards"] else 0
        flops = costs.dump_flops(model, len(settings.languages_of(job["wildcards"]["model"])), n_cells)
    elif job["rule"].startswith("count_activations"):
        flops = costs.forward_flops(model.shape, settings.analysis.activation_tokens, model.text.sequence_length)
    elif job["rule"].startswith("evaluate"):
        flops = costs.evaluation_flops(model, job["wildcards"]["benchmark"])
    else:
        flops = costs.compression_flops(model, job["wildcards"].get("method", costs.OUTLIERS_COST_LIKE))
    return flops / settings.engine.planning_flops, "formula"


def output_bytes(job: Mapping[str, Any], settings: Settings) -> float:
    """Estimated size of what a job will write."""
    model = settings.models[job["wildcards"]["model"]]
    if job["rule"].startswith("dump"):
        return len(job["output"]) * costs.dump_bytes(model)
    if job["rule"].startswith("evaluate"):
        return EVALUATION_BYTES
    if job["rule"] == "measure_outliers":
        return OUTLIERS_BYTES
    if job["rule"].startswith("count_activations"):
        return costs.activation_bytes(model)
    return costs.cell_bytes(model, job["wildcards"]["method"], job["wildcards"]["scheme"])


def ledger(settings: Settings, cells: Iterable[Cell], jobs: Iterable[Mapping[str, Any]], begun: set[str]) -> list[Line]:
    """Lines by model, method and scheme, dense models first; then the total."""
    records = benchmark_seconds()
    lines: dict[tuple[str, str, str], Line] = {}
    planned: dict[Cell, bool] = {}
    for cell in cells:
        lines.setdefault((cell.model, cell.method, cell.scheme), Line(cell.model, cell.method, cell.scheme))
    for job in jobs:
        wildcards = job["wildcards"]
        place = (wildcards.get("model", ""), wildcards.get("method", "dense"), wildcards.get("scheme", "dense"))
        planned |= _touched(job, begun)
        if not job["rule"].startswith((*GPU_RULES, COMPOSING)):
            continue
        line = lines.setdefault(place, Line(*place))
        if not job["rule"].startswith(COMPOSING) and costs.gpus(settings.models[place[0]]):
            seconds, source = job_seconds(job, settings, records)
            line.gpu_hours += seconds / 3600
            line.sources.add(source)
        line.gigabytes += output_bytes(job, settings) / 1e9
    for cell in cells:
        line = lines[cell.model, cell.method, cell.scheme]
        state = planned.get(cell)
        line.done += state is None
        line.incomplete += state is True
        line.outstanding += state is False
    models = list(settings.models)
    ordered = sorted(lines.values(), key=lambda line: (models.index(line.model), line.method != "dense"))
    total = Line()
    for line in ordered:
        total.add(line)
    return [*ordered, total]


def _touched(job: Mapping[str, Any], begun: set[str]) -> dict[Cell, bool]:
    """The cells that a job works on, and whether it was begun before."""
    return {cell: path in begun for path in job["output"] if (cell := cell_of(path))}


def read_config(files: Sequence[Path]) -> Settings:
    """The settings of several files, later ones on top, as Snakemake merges them."""

    def merged(base: Any, over: Any) -> Any:
        if isinstance(base, dict) and isinstance(over, dict):
            return base | {key: merged(base.get(key), value) for key, value in over.items()}
        return over

    config: Any = {}
    for file in files:
        config = merged(config, yaml.safe_load(file.read_text(encoding="utf-8")) or {})
    return load_settings(config, files)


def _print(lines: Sequence[Line], planning_flops: float) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title="Outstanding work")
    for name in ("model", "method", "scheme"):
        table.add_column(name, no_wrap=True)
    for name in ("done", "begun", "outstanding", "GPU-hours", "GB", "estimate"):
        table.add_column(name, justify="right", no_wrap=True)
    for line in lines:
        if line is lines[-1]:
            table.add_section()
        counts = (line.done, line.incomplete, line.outstanding)
        costs = (f"{line.gpu_hours:,.1f}", f"{line.gigabytes:,.1f}", "+".join(sorted(line.sources)) or "-")
        table.add_row(line.model or "total", line.method, line.scheme, *map(str, counts), *costs)
    console = Console()
    Console(width=max(console.width, 110)).print(table)
    print(
        "GPU-hours and GB are still to be spent. benchmark: median of this rule's, model's and method's finished jobs; "
        f"formula: operations at {planning_flops:.3g} a second (engine.planning_flops)."
    )


def _tidy(lines: Iterable[Line]) -> Iterator[dict[str, Any]]:
    for line in lines:
        yield asdict(line) | {"sources": sorted(line.sources)}


def main(argv: Sequence[str] | None = None) -> int:
    """Print the ledger of the targets in `argv` (sys.argv if None); 1 if they or the settings are wrong, else 0."""
    parser = argparse.ArgumentParser(
        prog="python -m polyprune.workflow.ledger", description="What is outstanding, and its cost."
    )
    parser.add_argument("targets", nargs="*", help="studies, tables, figures or cells; all studies if none")
    parser.add_argument("--configfile", type=Path, action="append", default=[], help="as for snakemake")
    parser.add_argument("--json", action="store_true", help="machine-readable")
    options = parser.parse_args(argv)
    try:
        settings = read_config([*map(Path, SHIPPED_FILES), *options.configfile])
        cells = cells_of(settings, options.targets)
        words = ["--configfile", *map(str, options.configfile)] if options.configfile else []
        jobs = planned_jobs(options.targets or sorted(settings.studies), words)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    lines = ledger(settings, cells, jobs, incomplete_outputs())
    if options.json:
        print(json.dumps(list(_tidy(lines)), indent=1))
    else:
        _print(lines, settings.engine.planning_flops)
    return 0


if __name__ == "__main__":
    sys.exit(main())
