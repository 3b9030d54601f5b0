"""Check every artifact of a results folder: `python -m polyprune.artifacts.verify [RESULTS]`, or `make verify`.

Each file is read whole and compared with its seal and digests, with the place where it lies and, where another file
says what belongs into it, with that one. Checkpoints of trained models and exports are in another program's format:
their files are compared with the list in the manifest or in the export's record. Left out are data of benchmarks in the
user's own folder, pictures, and what killed jobs have left to go on from, which the next run checks. The exit code is 1
if anything is wrong.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from polyprune.artifacts import (
    activations,
    benchmark_data,
    cells,
    corpus,
    correlations,
    evaluations,
    exports,
    hidden_states,
    measurements,
    outliers,
    prompt_states,
    prompts,
    scores,
    sheets,
    tokens,
)
from polyprune.artifacts.hdf5 import Hdf5Reader
from polyprune.artifacts.identity import (
    CHECKPOINT,
    MODEL,
    PROMPTING,
    RESULTS,
    DamagedError,
    ForeignError,
    Header,
    again,
    require,
)
from polyprune.artifacts.json_files import read_json
from polyprune.artifacts.model_files import description
from polyprune.artifacts.seals import require_seal
from polyprune.artifacts.tables import header_of, open_sealed_table, require_variants
from polyprune.artifacts.tensors import TensorReader
from polyprune.commands import run_command
from polyprune.errors import UserError
from polyprune.places import is_reference
from polyprune.provenance import file_digest

WITH_VARIANTS = {
    scores.SCHEMA,
    evaluations.SCORES_SCHEMA,
    *(each.schema for each in measurements.OF_VARIANTS),
}
"""Tables whose rows name their variant."""
SCHEMAS = {
    ".parquet": {
        *WITH_VARIANTS,
        *(corpus.SCHEMA, prompts.TEXT, evaluations.ITEMS_SCHEMA, measurements.TABLE, measurements.FRAME),
    },
    ".safetensors": {tokens.SCHEMA, prompts.TOKENS, cells.SCHEMA},
    ".h5": {hidden_states.SCHEMA, prompt_states.SCHEMA, activations.SCHEMA},
    ".json": {
        *(MODEL, PROMPTING, CHECKPOINT, outliers.SCHEMA, correlations.SCHEMA),
        *(benchmark_data.SCHEMA, exports.SCHEMA, sheets.SCHEMA),
    },
}
"""What this program reads, by the ending of a file's name."""
_CHECKPOINT, _EXPORT = "checkpoint", "export"
_UNFINISHED = (".layers", ".parts")


def artifacts(root: Path) -> Iterator[Path]:
    """All artifacts below a results folder, sorted."""
    for folder, below, names in os.walk(root):
        below[:] = sorted(name for name in below if not _is_left_out(Path(folder, name)))
        if Path(folder).name.partition("-")[0] == _EXPORT:
            names = [name for name in names if name == exports.CONFIG]
        yield from (Path(folder, name) for name in sorted(names) if Path(name).suffix in SCHEMAS)


def _is_left_out(folder: Path) -> bool:
    """Checkpoints and data sets, which have a manifest beside, and folders of unfinished jobs."""
    name = folder.name
    with_manifest = folder.with_name(f"{name}.json").exists()
    return name == _CHECKPOINT or name.startswith(".") or name.endswith(_UNFINISHED) or with_manifest


def check(path: Path, root: Path) -> None:
    """Read an artifact whole.

    Raises:
        UserError: it is damaged, in another's place, of a version that this program does not read, or at odds with
            what belongs to it.
    """
    if path.parent.name.partition("-")[0] == _EXPORT:
        _check_export(path, root)
        return
    match path.suffix:
        case ".parquet":
            _check_table(path, root)
        case ".safetensors":
            tensors = TensorReader.of_any_kind(path)
            _require_known(path, tensors.header, root)
            tensors.check()
            if tensors.header["schema"] == cells.SCHEMA:
                cells.require_sparsities(path, tensors.about)
        case ".h5":
            with Hdf5Reader.of_any_kind(path) as file:
                _require_known(path, file.header, root)
                file.check()
        case _:
            require_seal(path)
            header = read_json(path)
            _require_known(path, header, root)
            if header["schema"] == benchmark_data.SCHEMA and not is_reference(header["folder"]):
                benchmark_data.require_data(path, header, file_digest)
            if header["schema"] in (MODEL, PROMPTING):
                _check_checkpoint(path, header)


def _check_checkpoint(path: Path, header: Header) -> None:
    """The files that a manifest lists of a model that was made here."""
    prompting = header["schema"] == PROMPTING
    if (header if prompting else header["source"])["kind"] in ("train", "gguf", "pickles"):
        describe = partial(description, prompting=prompting, sha256_of=file_digest)
        exports.require_files(path.with_name(_CHECKPOINT), header["files"], path, describe)


def _check_export(config: Path, root: Path) -> None:
    """An export, by its config.json, which is what is asked for to have it made."""
    record = config.with_name(exports.RECORD)
    try:
        require_seal(record)
        header = require(record, read_json(record), exports.SCHEMA, root=root)
    except DamagedError as error:
        raise DamagedError(f"{record} is damaged, and with it the export; {again(config, root)}") from error
    exports.require_files(config.parent, header["files"], config)


def _check_table(path: Path, root: Path) -> None:
    with open_sealed_table(path) as file:
        header, table = header_of(file), file.read()
    _require_known(path, header, root)
    if header["schema"] in WITH_VARIANTS:
        require_variants(path, table, header)
    if header["schema"] == evaluations.ITEMS_SCHEMA:
        evaluations.require_questions(path, table, path.parent.parent / path.name)


def _require_known(path: Path, header: Header, root: Path) -> None:
    schema = header.get("schema")
    if schema not in SCHEMAS[path.suffix]:
        raise ForeignError(f"{path} is of kind {schema}, which this program does not read here; {again(path, root)}")
    require(path, header, schema, root=root)


def complaint(path: Path, root: Path) -> str | None:
    """What is wrong with an artifact; None if nothing is."""
    try:
        check(path, root)
    except UserError as error:
        return str(error)
    return None


def verify(root: Path, jobs: int, console: Console) -> list[str]:
    """Check everything below a results folder in parallel; what is wrong, in the order of the files."""
    files = list(artifacts(root))
    found = []
    with ProcessPoolExecutor(jobs) as pool, Progress(console=console, transient=True) as progress:
        task = progress.add_task("checking", total=len(files))
        for words in pool.map(partial(complaint, root=root), files, chunksize=8):
            progress.advance(task)
            found += [words] if words else []
    console.print(f"{len(files)} artifacts in {root} checked, {len(found)} wrong", highlight=False, soft_wrap=True)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m polyprune.artifacts.verify", description=__doc__)
    parser.add_argument("results", nargs="?", type=Path, default=Path(RESULTS), help="the folder to check")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many files at once")
    options = parser.parse_args(arguments)
    if not options.results.is_dir():
        parser.error(f"{options.results} is not a folder")
    found = verify(options.results, options.jobs, Console(stderr=True))
    for words in found:
        print(words)
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(run_command(main))
