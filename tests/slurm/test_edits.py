"""What was submitted is what runs, or nothing: settings, code and files edited while jobs wait in the queue."""

from __future__ import annotations

from tests.helpers.runs import replace
from tests.slurm.lab import MASK, Workplace

WEIGHTS = "results/mini/sparsegpt/0.50/de/seed0/weights.safetensors"
DENSE = "results/mini/dense/hidden_states/pair/de.h5"
TEXTS = "results/mini/evaluation_text/pair"


def test_jobs_refuse_settings_code_and_files_that_were_edited_while_they_waited(workplace: Workplace) -> None:
    """A mask with its method's code edited, weights with another damping, a dump with another text."""
    folder = workplace.folder
    for made in (MASK, WEIGHTS, DENSE):
        (folder / made).unlink()
    with workplace.cluster.set_back("partitionname=batch", "state=down", "state=up"):
        run = workplace.start("--", MASK, WEIGHTS, DENSE)
        run.meanwhile(lambda: len(workplace.jobs()) == 3, "three jobs were in the queue")
        replace(folder / "config.yaml", "damping: 0.01", "damping: 0.02")
        with (folder / "workflow_scripts/polyprune/methods/wanda.py").open("a", encoding="utf-8") as code:
            code.write("\nEDITED = True\n")
        text = folder / TEXTS / "de.safetensors"
        text.unlink()  # results of working copies are links to one file
        text.write_bytes((folder / TEXTS / "sw.safetensors").read_bytes())
    assert run.code() == 1
    assert len(workplace.jobs()) == 3 and not any((folder / made).exists() for made in (MASK, WEIGHTS, DENSE))
    run.says(r"the code below \S+, of what this job runs, was edited after this run began")
    run.says(r"the configuration, of what decides this job's result, was edited after this run began")
    run.says(r"de\.safetensors .*sw")
