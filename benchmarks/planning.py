"""What planning costs: dry runs of the paper's study and of grids of many cells, nothing or everything of it finished.

    .venv/bin/python benchmarks/planning.py [--cells 1000 2000 10000] [--finished 2000]

Prints jobs, processor time, time and peak memory of each dry run and of a second one, and where the time goes, sampled:
whose code it is, and what Snakemake was at. Of a grid with everything finished (empty files, with Snakemake's records)
also the ledger, and the plan of the study's page. Works in a folder of its own, below the system's for temporary files.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
SHIPPED = ("Snakefile", "config.yaml", "studies", "rules", "workflow_scripts", "envs", "data", "local", "slurm")
SEEDS_OF_A_THOUSAND_CELLS = 36
"""Of seven languages, two methods and two schemes."""
PHASES = {
    "execute_workflow": "rest",
    "<module>": "imports and rules",
    "args_to_api": "imports and rules",
    "update": "graph: which job makes which file",
    "update_conda_envs": "parameters: specs",
    "update_needrun": "what must run",
    "log_info": "printing jobs",
}
"""What Snakemake is at, by names of functions on the stack: the last of these that is there counts."""
SECONDS_A_SAMPLE = 0.005


def study_of(n_cells: int) -> dict[str, Any]:
    """A study with a table of drift of about so many cells of one model."""
    n_seeds = max(1, round(n_cells / 1000 * SEEDS_OF_A_THOUSAND_CELLS))
    grid = {
        "models": ["llama-3-8b"],
        "methods": ["wanda", "sparsegpt"],
        "schemes": ["0.50", "2of4"],
        "calibrations": ["ar", "de", "en", "es", "ru", "sw", "zh"],
        "seeds": list(range(n_seeds)),
    }
    table = {"title": "Many cells", "report": "drift", "grids": ["all"]}
    return {"studies": {"many": {"grids": {"all": grid}, "tables": {"table1": table}}}}


def plan(words: list[str], finish: bool) -> None:
    """In a process of its own: Snakemake's dry run, its output thrown away; one line of JSON of what it took.

    `finish` makes all files that are planned, and Snakemake's records of them.
    """
    samples: Counter[tuple[bool, str]] = Counter()

    def sample(_: int, frame: FrameType | None) -> None:
        own, phase, here = False, "", frame
        while here is not None:
            own |= "/workflow_scripts/" in here.f_code.co_filename
            phase = phase or PHASES.get(here.f_code.co_name, "")
            here = here.f_back
        samples[own, phase or "imports and rules"] += 1

    signal.signal(signal.SIGPROF, sample)
    signal.setitimer(signal.ITIMER_PROF, SECONDS_A_SAMPLE, SECONDS_A_SAMPLE)
    from snakemake.cli import main

    if finish:
        _finish_instead_of_printing()
    output = Path("said.txt")
    with (
        output.open("w", encoding="utf-8") as said,
        contextlib.redirect_stdout(said),
        contextlib.redirect_stderr(said),
        contextlib.suppress(SystemExit),
    ):
        main(["-n", "--profile", "local", *words])
    signal.setitimer(signal.ITIMER_PROF, 0)
    text = output.read_text(encoding="utf-8")[-20_000:]
    jobs = re.search(r"^total +(\d+)$", text, re.MULTILINE)
    if not jobs and "Nothing to be done" not in text:
        sys.exit(text[-2000:])
    shares = [[own, phase, n * SECONDS_A_SAMPLE] for (own, phase), n in samples.items()]
    print(json.dumps({"jobs": int(jobs[1]) if jobs else 0, "shares": shares}))


def _finish_instead_of_printing() -> None:
    from snakemake.scheduling.job_scheduler import JobScheduler
    from snakemake_interface_logger_plugins.common import LogEvent

    async def finish(workflow: Any) -> None:
        workflow.iocache.deactivate()  # it knows that nothing is there; a run does the same
        ends = logging.Logger("ends of jobs")
        workflow.globals["dumped"].record_as_alone(workflow, ends)  # as the Snakefile has it of a run
        for job in workflow.dag.needrun_jobs():
            for path in map(Path, job.output):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
                os.utime(path, (0, 0))
            await workflow.persistence.finished(job)
            ends.info("", extra={"event": LogEvent.JOB_FINISHED, "job_id": workflow.dag.jobid(job)})

    def schedule(self: Any) -> bool:
        self.workflow.async_run(finish(self.workflow))
        return True

    JobScheduler.schedule = schedule


def measured(command: list[str], folder: Path) -> tuple[list[str], str]:
    """The lines that a command prints, and in words what it took."""
    started = time.monotonic()
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(command)} failed")
    cpu = usage.ru_utime + usage.ru_stime
    words = f"{cpu:6.1f} CPU-s {time.monotonic() - started:6.1f} s {usage.ru_maxrss / 1024:6.0f} MiB"
    return said.splitlines(), words


def dry_run(name: str, words: list[str], folder: Path, finish: bool = False) -> None:
    """Print a line on a dry run, and where its time went."""
    command = [sys.executable, str(Path(__file__).resolve()), "--finish" if finish else "--plan", *words]
    said, took = measured(command, folder)
    result = json.loads(next(line for line in said if line.startswith("{")))
    print(f"{name:34} {result['jobs']:6} jobs {took}", flush=True)
    if "finished" in name and result["jobs"]:
        sys.exit("what is finished is to be made again: this measures something else")
    if finish:
        return
    total = sum(seconds for _, _, seconds in result["shares"])
    for own, phase, seconds in sorted(result["shares"], key=lambda share: -share[2]):
        if seconds / total >= 0.02:
            whose = "polyprune's" if own else "Snakemake's"
            print(f"    {seconds / total:4.0%} {seconds:5.1f} s  {whose} {phase}")


def main() -> None:
    parser = argparse.ArgumentParser(description="What planning costs.")
    parser.add_argument("--cells", type=int, nargs="*", default=[1000, 2000, 10000], help="sizes of grids")
    parser.add_argument("--finished", type=int, default=2000, help="size of the grid of which everything is finished")
    if sys.argv[1:2] in (["--plan"], ["--finish"]):
        plan(sys.argv[2:], finish=sys.argv[1] == "--finish")
        return
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for entry in SHIPPED:
            (folder / entry).symlink_to(ROOT / entry)
        for n_th in ("", ", again"):
            dry_run(f"the paper{n_th}", ["--", "paper"], folder)
        for n_cells in options.cells:
            dry_run(f"{n_cells} cells", _words(n_cells, folder), folder)
        if options.finished:
            words = _words(options.finished, folder)
            dry_run(f"{options.finished} cells are made up", words, folder, finish=True)
            dry_run(f"{options.finished} finished cells", words, folder)
            dry_run(f"{options.finished} cells, the page", [*words[:-1], "results/many/report.html"], folder)
            ledger = [sys.executable, "-m", "polyprune.workflow.ledger", *words[-1:], *words[:2]]
            os.environ["PYTHONPATH"] = str(ROOT / "workflow_scripts")
            print(f"{options.finished} finished cells, the ledger{'':17} {measured(ledger, folder)[1]}")


def _words(n_cells: int, folder: Path) -> list[str]:
    file = folder / f"{n_cells}.yaml"
    file.write_text(yaml.safe_dump(study_of(n_cells)), encoding="utf-8")
    return ["--configfile", file.name, "--", "results/many/table1.parquet"]


if __name__ == "__main__":
    main()
