"""A study is a file: what is always read, how each says that it is run and what it showed, that it can be planned, and
which file an error is told of."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from gguf import GGUFWriter
from tests.helpers.checkout import copy_repository
from tests.helpers.outside import put, put_model
from tests.helpers.runs import snakemake
from tests.helpers.shipped import shipped_config

from polyprune.settings.load import SHIPPED_FILES

ROOT = Path(__file__).parent.parent
STUDIES = sorted((ROOT / "studies").glob("*.yaml"))


def test_the_snakefile_reads_the_shipped_files_in_their_order() -> None:
    named = re.findall(r'^configfile: "(.+)"$', (ROOT / "Snakefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert tuple(named) == SHIPPED_FILES


def test_the_paper_and_the_demo_share_no_entry() -> None:
    """What one file says of a corpus, a model or a study is not changed by the other."""
    paper, demo = (yaml.safe_load((ROOT / file).read_text(encoding="utf-8")) for file in SHIPPED_FILES)
    for section in ("corpora", "prompts", "models", "studies"):
        assert not set(paper[section]) & set(demo[section])
    assert list(paper["studies"]) == ["paper"] and list(demo["studies"]) == ["demo"]
    assert list(shipped_config()["studies"]) == ["paper", "demo"]


def head_of(file: Path) -> str:
    """The comment that a study begins with."""
    return file.read_text(encoding="utf-8").split("\n\n")[0] + "\n"


@pytest.mark.parametrize("file", [ROOT / "config.yaml", *STUDIES], ids=lambda file: file.stem)
def test_a_study_says_what_it_is_for_how_long_it_takes_and_what_it_showed(file: Path) -> None:
    """In its first lines: `For: …`, `Takes: …`, and `Showed here: …`, which may be that it was not run."""
    head = " ".join(line.removeprefix("#").strip() for line in head_of(file).splitlines())
    parts = re.findall(r"(For|Takes|Showed here): (\S.*?)(?= (?:For|Takes|Showed here): |$)", head)
    assert [name for name, _ in parts] == ["For", "Takes", "Showed here"]
    assert all(len(said) > 12 for _, said in parts)


def test_every_study_plans(tmp_path: Path) -> None:
    """One dry run for all, with stand-ins for what a user brings: a folder model, a GGUF file, text for it."""
    folder = copy_repository(tmp_path)
    shutil.copy(ROOT / "data/published.csv", folder / "data")
    shape = yaml.safe_load((ROOT / "studies/demo.yaml").read_text(encoding="utf-8"))["models"]["tiny-llama"]["shape"]
    put_model(folder / "results/tiny-llama/checkpoint", shape)
    for text in ("code", "de", "en", "es"):
        put(folder / f"data/real/{text}.jsonl", '{"text": "a text"}\n' * 2000)
    put_gguf(folder / "data/real/SmolLM2-135M-Instruct.Q4_1.gguf")
    files = [f"studies/{file.name}" for file in STUDIES if f"studies/{file.name}" not in SHIPPED_FILES]
    named = dict.fromkeys(f"results/{file.stem}/table1.parquet" for file in STUDIES)
    run = snakemake(folder, "-n", "--quiet", "reason", "--configfile", *files, "--", "results/table1.parquet", *named)
    assert run.returncode == 0, run.stdout + run.stderr
    outputs = {
        file for line in re.findall(r"^    output: (.+)$", run.stdout, re.MULTILINE) for file in line.split(", ")
    }
    assert outputs >= named.keys() | {"results/table1.parquet"}
    assert len(named) == len(STUDIES) >= 11


def put_gguf(file: Path) -> None:
    """A GGUF file of a header that names sizes, and no weights."""
    writer = GGUFWriter(file, "llama")
    writer.add_block_count(30)
    writer.add_embedding_length(576)
    writer.add_feed_forward_length(1536)
    writer.add_head_count(9)
    writer.add_head_count_kv(3)
    writer.add_context_length(8192)
    writer.add_vocab_size(49152)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


@pytest.mark.parametrize("file", STUDIES, ids=lambda file: file.stem)
def test_a_study_begins_with_how_to_run_it(file: Path) -> None:
    head = head_of(file)
    commands = re.findall(r"^#   (snakemake .+)$", head, flags=re.MULTILINE)
    assert commands and head.startswith("# ")
    always_read = f"studies/{file.name}" in SHIPPED_FILES
    for command in commands:
        words = command.split()
        assert always_read or words[words.index("--configfile") + 1] == f"studies/{file.name}"
        assert words[words.index("--") + 1].removeprefix("results/").split("/")[0] in (file.stem, f"{file.stem}-demo")


def test_a_problem_is_told_of_the_file_that_says_it(tmp_path: Path) -> None:
    """Of the command line's file, which is merged last, also where the configuration has the same key."""
    folder = copy_repository(tmp_path)
    (folder / "own.yaml").write_text("engine:\n  offload: disk\n", encoding="utf-8")
    demo = folder / "studies/demo.yaml"
    text = demo.read_text(encoding="utf-8").replace("sampling: packed", "sampling: paked")
    demo.write_text(text, encoding="utf-8")
    line = text[: text.index("sampling: paked")].count("\n") + 1
    command = [sys.executable, "-m", "snakemake", "--profile", "local", "-n", "--configfile", "own.yaml", "--", "demo"]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    output = run.stdout + run.stderr
    assert "own.yaml:2: engine.offload: Input should be 'none' or 'cpu', got 'disk'" in output
    assert f"studies/demo.yaml:{line}: models.tiny-llama.text.sampling: Input should be" in output
