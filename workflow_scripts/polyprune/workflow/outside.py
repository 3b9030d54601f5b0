"""What lies outside of `results/`: folders of models, text, prompts and data of benchmarks, seen when a run is planned.

The rules that register such things ask here for inputs. They get none, but the thing is looked at: what is missing or
does not fit is refused before there is a job, with the line of the configuration; what is no longer what its
registration says is named, and the registration is made again, with all that depends on it. What is the same content
is the same thing, wherever it lies and whenever it was touched. What was fetched from the hub at another commit than
`revisions.lock` says by now is fetched again.

Only things are looked at that the targets need. Contents are read once (`artifacts/known_digests.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from polyprune.corpora.outside_files import matching_files
from polyprune.errors import UserError
from polyprune.grammar.benchmarks import datasets
from polyprune.grammar.paths import origin_of
from polyprune.places import path_at, paths_at, reference
from polyprune.settings.benchmarks import TASKS
from polyprune.settings.calibrations import sequences_wanted
from polyprune.settings.config import Settings
from polyprune.settings.imports import FolderCheckpoint
from polyprune.settings.models import FolderSource, GgufSource, PickledSource
from polyprune.settings.text import DemoCorpus, FilesCorpus, FilesPrompts, HubCorpus, HubPrompts, TmxCorpus
from polyprune.workflow.outside_data import changes_of_fetched, changes_of_files
from polyprune.workflow.outside_models import (
    changes_of_commit,
    changes_of_original,
    changes_of_prompting,
    changes_where_it_lies,
    registration,
)
from polyprune.workflow.refusals import OutsideError, Refusals, told
from polyprune.workflow.spec_values import cell_at, place_of_import
from polyprune.workflow.wildcards import Wildcards

DATA_ROOT = "benchmarks"
_MOST_TOKENS_A_BYTE = 2
"""A token covers a byte at least; of short documents, those around them double it."""
LONGEST_DOCUMENT = 1000
"""Bytes that a generated document has at most."""


def places_of(settings: Settings) -> dict[str, str | list[str]]:
    """Where each outside thing lies, by the name that `places.py` knows it by."""
    places: dict[str, str | list[str]] = {}
    for name, model in settings.models.items():
        if path := getattr(model.source, "path", None):
            places[f"models/{name}"] = path
    for kind, sections in (("corpora", settings.corpora), ("prompts", settings.prompts)):
        for name, section in sections.items():
            if isinstance(section, FilesCorpus | FilesPrompts):
                places |= {f"{kind}/{name}/{language}": files for language, files in section.files.items()}
            elif isinstance(section, TmxCorpus):
                places[f"{kind}/{name}"] = section.folder
    for cell, checkpoint in settings.imported.items():
        if isinstance(checkpoint, FolderCheckpoint):
            places["/".join(place_of_import(cell))] = checkpoint.path
    for name, benchmark in settings.benchmarks.items():
        if benchmark.folder is not None:
            places[f"{TASKS}/{name}"] = benchmark.folder
    if settings.evaluation.data_root is not None:
        places[DATA_ROOT] = settings.evaluation.data_root
    return places


class Outside:
    """Looks at outside things under some settings, which were read from `files`; `workflow` is Snakemake's.

    What cannot be used is among the `refusals`.

    Processes that Snakemake starts for single jobs look at nothing: what they run was decided before.
    """

    def __init__(self, settings: Settings, files: Sequence[Path], workflow: Any, say: Callable[[str], None]) -> None:
        self.settings, self.workflow, self.say, self.refusals = settings, workflow, say, Refusals(files)
        self._seen: set[str] = set()

    # Input functions, of no files.

    def model(self, wildcards: Wildcards) -> list[str]:
        return self._look(self._model, "results/{model}/model.json", wildcards)

    def prompting(self, wildcards: Wildcards) -> list[str]:
        self.model(wildcards)
        return self._look(self._prompting, "results/{model}/prompting.json", wildcards)

    def checkpoint(self, wildcards: Wildcards) -> list[str]:
        pattern = "results/{model}/{method}/{scheme}/{calibration}/seed{seed}/checkpoint.json"
        return self._look(self._checkpoint, pattern, wildcards)

    def documents(self, wildcards: Wildcards) -> list[str]:
        return self._look(self._documents, "results/corpora/{corpus}/{language}.parquet", wildcards)

    def prompts(self, wildcards: Wildcards) -> list[str]:
        return self._look(self._prompts, "results/prompts/{prompts}/{language}.parquet", wildcards)

    def benchmark(self, wildcards: Wildcards) -> list[str]:
        return self._look(self._benchmark, "results/benchmarks/hub/{benchmark}.json", wildcards)

    def questions(self, wildcards: Wildcards) -> list[str]:
        """What a model is asked: refused if the user's folder lacks a data set that its languages need."""
        evaluation = self.settings.evaluation
        if (
            evaluation.data_root is None
            or self.settings.source_of(wildcards["model"], wildcards["benchmark"]) == "demo"
        ):
            return []
        return self._look(self._questions, "results/{model}/dense/evaluation/{benchmark}.parquet", wildcards)

    def _look(
        self, changes: Callable[[Wildcards, Path], Iterator[str]], pattern: str, wildcards: Wildcards
    ) -> list[str]:
        """Once a file: force it if what it registers has changed.

        `changes` yields sentences on what is no longer as the file says, if it is there.
        """
        output = pattern.format(**wildcards)
        if self.workflow.is_main_process and output not in self._seen:
            self._seen.add(output)
            try:
                found = list(changes(wildcards, Path(output)))
            except UserError as error:
                self.refusals.add(error)
                return []
            if found:
                self.say(f"{output} is made again, with all that depends on it: {'; '.join(found)}")
                self.workflow.dag.forcefiles.add(output)
        return []

    # Each kind.

    def _model(self, wildcards: Wildcards, manifest: Path) -> Iterator[str]:
        # Imported here because only some configurations have such models, and it takes a second.
        from polyprune.model.registered import changes
        from polyprune.model.source import check_shape, deciding_files, read_config, read_manifest

        name = wildcards["model"]
        model = self.settings.models[name]
        if isinstance(model.source, FolderSource):
            place = ("models", name, "source", "path")
            folder = path_at(reference("models", name))
            if manifest.exists() and not folder.exists():
                self._say_missing(f"the model's folder {folder} does not exist", manifest)
                return
            config = told(lambda: read_config(folder), place)
            told(lambda: check_shape(config, model.shape, "the shape"), ("models", name, "shape"))
            names = told(lambda: deciding_files(folder), place)
            if registered := registration(read_manifest, manifest):
                yield from (f"{folder}: {change}" for change in changes(registered, folder, names))
        elif isinstance(model.source, GgufSource | PickledSource) and model.source.path is not None:
            original = path_at(reference("models", name))
            if not original.exists():
                if not manifest.exists():
                    raise OutsideError(("models", name, "source", "path"), f"{original} does not exist")
                self._say_missing(f"the model's original {original} does not exist", manifest)
                return
            if registered := registration(read_manifest, manifest):
                yield from changes_of_original(original, registered["source"])
                yield from changes_where_it_lies(registered, manifest, self._say_missing)
        elif registered := registration(read_manifest, manifest):
            yield from changes_where_it_lies(registered, manifest, self._say_missing)

    def _prompting(self, wildcards: Wildcards, manifest: Path) -> Iterator[str]:
        name = wildcards["model"]
        model, source = Path(f"results/{name}/model.json"), self.settings.models[name].source
        if str(model) not in self.workflow.dag.forcefiles and manifest.exists():
            converted = isinstance(source, GgufSource | PickledSource) and source.path is not None
            yield from changes_of_prompting(manifest, model, path_at(reference("models", name)) if converted else None)

    def _checkpoint(self, wildcards: Wildcards, manifest: Path) -> Iterator[str]:
        from polyprune.model.foreign.files import checkpoint_folder, deciding_files, read_checkpoint_manifest
        from polyprune.model.registered import changes

        cell = cell_at(wildcards)
        source, registered = self.settings.imported.get(cell), registration(read_checkpoint_manifest, manifest)
        if isinstance(source, FolderCheckpoint):
            folder = path_at(reference(*place_of_import(cell)))
            if manifest.exists() and not folder.exists():
                self._say_missing(f"the checkpoint {folder} does not exist", manifest)
                return
            origin = str(origin_of(cell.method))
            index = [each.cell(origin) for each in self.settings.imports[origin].cells].index(cell)
            place = ("imports", origin, "cells", index, "source", "path")
            names = told(lambda: deciding_files(folder, source.pickles), place)
        elif registered:
            yield from changes_of_commit("model", registered["source"]["id"], registered["source"]["revision"])
            try:
                folder = checkpoint_folder(registered["source"])
                names = deciding_files(folder, registered["source"]["pickles"])
            except UserError:
                return  # not whole in this machine's cache: nothing can have changed here
        else:
            return
        if registered:
            yield from (f"{folder}: {change}" for change in changes(registered, folder, names))

    def _documents(self, wildcards: Wildcards, output: Path) -> Iterator[str]:
        name, language = wildcards["corpus"], wildcards["language"]
        corpus = self.settings.corpora[name]
        if isinstance(corpus, HubCorpus):
            yield from changes_of_fetched(corpus.dataset, output)
        if isinstance(corpus, DemoCorpus):
            n = max(corpus.documents.calibration, corpus.documents.evaluation)
            self._require_text(name, language, n * LONGEST_DOCUMENT, f"at most, in {n} generated documents")
        if not isinstance(corpus, FilesCorpus):
            return
        patterns = paths_at(reference("corpora", name, language))
        try:
            files = matching_files(patterns, language)
        except UserError as error:
            if output.exists():
                self._say_missing(str(error), output)
                return
            raise OutsideError(("corpora", name, "files", language), str(error)) from error
        if not any(file.suffix in (".gz", ".parquet") for file in files):
            self._require_text(name, language, sum(file.stat().st_size for file in files), ", ".join(map(str, files)))
        yield from changes_of_files(files, output)

    def _require_text(self, corpus: str, language: str, size: int, where: str) -> None:
        """Refuse what cannot be enough for the sequences that a model wants, whatever its tokenizer."""
        for name, model in self.settings.models.items():
            n, length = sequences_wanted(self.settings, name, corpus, language), model.text.sequence_length
            if _MOST_TOKENS_A_BYTE * size < n * length:
                raise OutsideError(
                    ("models", name, "text"),
                    f"{n} sequences of {length} tokens are wanted, and all text in {language} is {size:,} bytes "
                    f"({where}); bring more text, or ask for fewer or shorter ones",
                )

    def _prompts(self, wildcards: Wildcards, output: Path) -> Iterator[str]:
        name, language = wildcards["prompts"], wildcards["language"]
        prompts = self.settings.prompts[name]
        if isinstance(prompts, HubPrompts):
            yield from changes_of_fetched(prompts.dataset, output)
        if not isinstance(prompts, FilesPrompts):
            return
        file, place = path_at(reference("prompts", name, language)), ("prompts", name, "files", language)
        if not file.is_file():
            what = f"{file} {'is a folder; name the file in it' if file.is_dir() else 'does not exist'}"
            if output.exists():
                self._say_missing(what, output)
                return
            raise OutsideError(place, what)
        with file.open("rb") as stream:
            n_lines = sum(1 for line in stream if line.strip())
        if n_lines < prompts.n_prompts:
            few = f"{prompts.n_prompts} prompts are wanted, {file} has {n_lines} lines; lower it"
            raise OutsideError(("prompts", name, "n_prompts"), few)
        yield from changes_of_files([file], output)

    def _benchmark(self, wildcards: Wildcards, manifest: Path) -> Iterator[str]:
        from polyprune.artifacts.benchmark_data import folder_digest, present, read_registered

        if self.settings.evaluation.data_root is None:
            fetched = registration(read_registered, manifest) or {"datasets": {}}
            for each in fetched["datasets"].items():
                yield from changes_of_commit("dataset", *each)
            return
        root = path_at(reference(DATA_ROOT))
        if manifest.exists() and not root.exists():
            self._say_missing(f"evaluation.data_root {root} does not exist", manifest)
            return
        place = ("evaluation", "data_root")
        names = told(
            lambda: present(root, datasets(self.settings.all_benchmarks[wildcards["benchmark"]], "hub")), place
        )
        now = {name: told(lambda name=name: folder_digest(root / name), place) for name in names}
        if registered := registration(read_registered, manifest):
            before = registered["digests"]
            for name in now:
                if now[name] != before.get(name, now[name]):
                    yield f"{root / name} has digest {now[name]}, registered was {before[name]}"
                elif name not in before:
                    yield f"{root / name} was not registered"
            for name in sorted(set(before) - set(now)):
                self._say_missing(f"{root / name} does not exist", manifest)

    def _questions(self, wildcards: Wildcards, _: Path) -> Iterator[str]:
        from polyprune.artifacts.benchmark_data import read_registered

        root, languages = path_at(reference(DATA_ROOT)), self.settings.languages_of(wildcards["model"])
        manifest = registration(read_registered, Path(f"results/benchmarks/hub/{wildcards['benchmark']}.json"))
        for name in datasets(self.settings.all_benchmarks[wildcards["benchmark"]], "hub", languages):
            if not (root / name).is_dir() and name not in (manifest or {"digests": ()})["digests"]:
                raise OutsideError(
                    ("evaluation", "data_root"),
                    f"{root / name} does not exist, and {wildcards['model']} has texts in {', '.join(languages)}; it "
                    "should be a data set in the hub's layout (data/README.md)",
                )
        yield from ()

    # What is told.

    def _say_missing(self, what: str, output: Path) -> None:
        self.say(f"{what}; what is finished stays as {output} registered it, jobs that need more of it will fail")
