"""The ledger: which cells are done, which are outstanding, and what they will cost. Starts nothing.

    python -m polyprune.workflow.ledger [study | table | figure | cell …] [--configfile FILE] [--json]

What is outstanding is what Snakemake's own dry run would do, job by job (through the logger plugin beside this
package): a changed setting counts, too. A cell is begun where one of its jobs is at work, or was when Snakemake was
killed. Each model's uncompressed one is a row. `prices.py` says what jobs cost, `failures.py` which of them failed.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from polyprune.commands import run_command
from polyprune.errors import UserError
from polyprune.grammar.paths import DENSE, OF_STUDIES, PAPER, Cell, cell_of
from polyprune.settings.config import Settings
from polyprune.settings.load import SHIPPED_FILES, load_settings
from polyprune.settings.yaml_lines import read_yaml
from polyprune.workflow import costs
from polyprune.workflow.bundles import MIXED
from polyprune.workflow.failures import Failure, failures_of
from polyprune.workflow.prices import (
    COMPOSING,
    GPU_RULES,
    benchmark_seconds,
    job_memory_mb,
    job_seconds,
    needed_mb,
    output_bytes,
)
from polyprune.workflow.starts import require_target, study_files
from polyprune.workflow.targets import PAGE, as_named

GPUS = (1, 8)
"""For which numbers the total says how long it will take."""

Unit = Cell | tuple[str, str]
"""What is counted: a cell, or the uncompressed model of a model (its key, `DENSE`)."""


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
    memory_gib: float = 0.0
    """What the hungriest of its outstanding jobs needs."""
    sources: set[str] = field(default_factory=set)

    def add(self, other: Line) -> None:
        """Add the counts, costs and sources of another line to this one, which keeps its names."""
        self.done += other.done
        self.incomplete += other.incomplete
        self.outstanding += other.outstanding
        self.gpu_hours += other.gpu_hours
        self.gigabytes += other.gigabytes
        self.memory_gib = max(self.memory_gib, other.memory_gib)
        self.sources |= other.sources


def cells_of(settings: Settings, targets: Sequence[str]) -> list[Cell]:
    """The cells that the targets are made of: a study's, a table's, a figure's, or the one a path names.

    Without targets those of all studies.

    Raises:
        UserError: a target is neither; names the nearest spelling.
    """
    cells: list[Cell] = []
    for target in targets or sorted(settings.studies):
        require_target(target, settings)
        if target in settings.studies:
            cells += settings.studies[target].all_cells()
        elif cell := cell_of(target):
            cells.append(cell)
        else:
            cells += _cells_of_file(target, settings)
    return list(dict.fromkeys(cells))


def _cells_of_file(target: str, settings: Settings) -> Sequence[Cell]:
    """Of a file of a study."""
    parts = target.split("/")
    name = parts[1] if len(parts) > 2 else PAPER
    stem = parts[-1].split(".")[0]
    study = settings.studies.get(name)
    if study is not None and stem in {*study.tables, *study.figures}:
        return study.cells(stem)
    if study is not None and stem in {*OF_STUDIES, Path(PAGE).stem}:
        return study.all_cells()
    raise UserError(f"{target} is not a study, a table, a figure or a cell")


def planned_jobs(targets: Sequence[str], words: Sequence[str]) -> list[dict[str, Any]]:
    """Jobs that Snakemake would run for the targets: rule, wildcards, output, log.

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


def _shares(job: Mapping[str, Any]) -> dict[tuple[str, str, str], float]:
    """Model, method and scheme that a job is for; of a dump for several, each one's share of its files."""
    wildcards = job["wildcards"]
    if not job["rule"].startswith(MIXED):
        return {(wildcards.get("model", ""), wildcards.get("method", DENSE), wildcards.get("scheme", DENSE)): 1.0}
    cells = [cell for path in job["output"] if (cell := cell_of(path))]
    counts = Counter((cell.model, cell.method, cell.scheme) for cell in cells)
    return {place: count / len(cells) for place, count in counts.items()}


def ledger(settings: Settings, cells: Iterable[Cell], jobs: Iterable[Mapping[str, Any]], begun: set[str]) -> list[Line]:
    """Lines by model, method and scheme, dense models first; then the total."""
    records, needed, cells = benchmark_seconds(), needed_mb(), list(cells)
    units = [*({(cell.model, DENSE): None for cell in cells}), *cells]
    lines = {_row(unit): Line(*_row(unit)) for unit in units}
    planned: dict[Unit, bool] = {}
    for job in jobs:
        for unit, at_work in _touched(job, begun).items():
            planned[unit] = at_work or planned.get(unit, False)
        if not job["rule"].startswith((*GPU_RULES, COMPOSING)):
            continue
        for place, share in _shares(job).items():
            if place[1] == DENSE:
                planned.setdefault((place[0], DENSE), False)
            line = lines.setdefault(place, Line(*place))
            if not job["rule"].startswith(COMPOSING):
                line.memory_gib = max(line.memory_gib, job_memory_mb(job, settings, needed) / 1024)
            if not job["rule"].startswith(COMPOSING) and costs.gpus(settings.models[place[0]]):
                seconds, source = job_seconds(job, settings, records)
                line.gpu_hours += share * seconds / 3600
                line.sources.add(source)
            line.gigabytes += share * output_bytes(job, settings) / 1e9
    for unit in units:
        line, state = lines[_row(unit)], planned.get(unit)
        line.done += state is None
        line.incomplete += state is True
        line.outstanding += state is False
    models = list(settings.models)
    ordered = sorted(lines.values(), key=lambda line: (models.index(line.model), line.method != DENSE))
    total = Line()
    for line in ordered:
        total.add(line)
    return [*ordered, total]


def _row(unit: Unit) -> tuple[str, str, str]:
    return (unit.model, unit.method, unit.scheme) if isinstance(unit, Cell) else (unit[0], DENSE, DENSE)


def _touched(job: Mapping[str, Any], begun: set[str]) -> dict[Unit, bool]:
    """The cells and uncompressed models that a job works on (or trains, fetches), and whether it is at work."""
    found: dict[Unit, bool] = {}
    for path in job["output"]:
        if cell := cell_of(path):
            found[cell] = path in begun
        elif (parts := path.split("/"))[2:3] in ([DENSE], ["model.json"]):
            found[parts[1], DENSE] = path in begun
    return found


def read_config(files: Sequence[Path]) -> Settings:
    """The settings of several files, later ones on top, as Snakemake merges them.

    Raises:
        UserError: a file is not there or no YAML, or the settings are wrong.
    """

    def merged(base: Any, over: Any) -> Any:
        if isinstance(base, dict) and isinstance(over, dict):
            return base | {key: merged(base.get(key), value) for key, value in over.items()}
        return over

    config: Any = {}
    for file in files:
        if not file.is_file():
            close = get_close_matches(str(file), map(str, study_files()), n=1)
            raise UserError(f"there is no {file} in {Path.cwd()}{f'; did you mean {close[0]}?' if close else ''}")
        try:
            config = merged(config, read_yaml(file) or {})
        except OSError as error:
            raise UserError(f"{file} cannot be read as a study file: {error}") from error
    return load_settings(config, files)


def total_in_words(total: Line) -> str:
    """`cells and uncompressed models: 12 done, 3 begun, 347 outstanding; 1,024.5 GPU-hours (…), 812.3 GB`."""
    counts = f"{total.done} done, {total.incomplete} begun, {total.outstanding} outstanding"
    return f"cells and uncompressed models: {counts}; {cost_in_words(total)}"


def cost_in_words(total: Line) -> str:
    """`1,024.5 GPU-hours (42.7 days at 1 GPU, …), 812.3 GB`."""
    if total.gpu_hours:
        times = ", ".join(f"{_duration(total.gpu_hours / n)} at {n} GPU{'s' * (n > 1)}" for n in GPUS)
        cost = f"{total.gpu_hours:,.1f} GPU-hours ({times}, at best)"
    else:
        cost = "no GPU needed"
    return f"{cost}, {total.gigabytes:,.1f} GB"


def _duration(hours: float) -> str:
    return f"{hours:,.1f} h" if hours < 48 else f"{hours / 24:,.1f} days"


def show(lines: Sequence[Line], failures: Sequence[Failure], planning_flops: float) -> None:
    """Print the tables, and what their words mean."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title="Outstanding work")
    for name in ("model", "method", "scheme"):
        table.add_column(name, no_wrap=True)
    for name in ("done", "begun", "outstanding", "GPU-hours", "GB", "GiB a job", "estimate"):
        table.add_column(name, justify="right", no_wrap=True)
    for line in lines:
        if line is lines[-1]:
            table.add_section()
        counts = (line.done, line.incomplete, line.outstanding)
        costs = [f"{cost:,.1f}" for cost in (line.gpu_hours, line.gigabytes, line.memory_gib)]
        sources = "+".join(sorted(line.sources)) or "-"
        table.add_row(line.model or "total", line.method, line.scheme, *map(str, counts), *costs, sources)
    whole = Console(width=400).measure(table).maximum  # names are not cut, however narrow the terminal
    console = Console(width=max(Console().width, whole))
    console.print(table)
    if failures:
        failed = Table(title="Jobs that failed, and are outstanding", show_lines=True)
        for name in ("job", "why", "after mending it, type"):
            failed.add_column(name, overflow="fold")
        for each in failures:
            failed.add_row(each.rule, each.why, each.command)
        console.print(failed)
    print(f"In all, {total_in_words(lines[-1])}.")
    print(
        "Done is what has all that these targets ask of it. GPU-hours and GB are still to be spent; GiB of memory is "
        "what the job needs that needs most, by records of such jobs, else by a formula. benchmark: median of this "
        "rule's, model's and method's finished jobs; formula: operations at "
        f"{planning_flops:.3g} a second (engine.planning_flops)."
    )


def tidy(lines: Iterable[Line]) -> Iterator[dict[str, Any]]:
    """As values of JSON."""
    for line in lines:
        yield asdict(line) | {"sources": sorted(line.sources)}


def main(argv: Sequence[str] | None = None) -> int:
    """Print the ledger of the targets in `argv` (sys.argv if None); 1 if they or the settings are wrong, else 0."""
    parser = argparse.ArgumentParser(prog="python -m polyprune.workflow.ledger", description="What is outstanding.")
    parser.add_argument("targets", nargs="*", help="studies, tables, figures or cells; all studies if none")
    parser.add_argument("--configfile", type=Path, action="append", default=[], help="as for snakemake")
    parser.add_argument("--json", action="store_true", help="machine-readable")
    options = parser.parse_args(argv)
    try:
        settings = read_config([*map(Path, SHIPPED_FILES), *options.configfile])
        cells = cells_of(settings, targets := as_named(options.targets))
        words = ["--configfile", *map(str, options.configfile)] if options.configfile else []
        jobs = planned_jobs(targets or sorted(settings.studies), words)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    begun = incomplete_outputs()
    lines = ledger(settings, cells, jobs, begun)
    if options.json:
        print(json.dumps(list(tidy(lines)), indent=1))
    else:
        show(lines, failures_of(jobs, begun, words), settings.engine.planning_flops)
    return 0


if __name__ == "__main__":
    raise SystemExit(run_command(main))
