"""Folders in Snakemake's cache between workflows, which itself takes only outputs that a rule names.

An export or a model that was made here is an output, which comes last and describes it, and a folder of files whose
names nobody knows before (`earlier.FOLDERS`). The folder goes into the cache beside the output, as `{hash}.folder`, and
before it; and comes out of it before it, as links. So whoever finds the output finds the folder whole.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snakemake.caching.rule import RuleCache


@dataclass
class FolderCache(RuleCache):
    """A rule's cache; `folder` leads from its output to the folder."""

    folder: Callable[[Path], Path]

    async def exists(self, job: Any) -> bool:
        return bool(await super().exists(job)) and (await self._places(job))[1].is_dir()

    async def store(self, job: Any) -> None:
        """Move everything to the cache and leave links. Of two at the same time, the last has the names."""
        folder, there = await self._places(job)
        there.mkdir(exist_ok=True)
        there.chmod(0o777)
        for file in _files(folder, job):
            target, part = there / file.name, there / f".{secrets.token_hex(8)}"
            shutil.move(file, part, copy_function=shutil.copyfile)
            part.chmod(0o666)
            part.replace(target)
            file.symlink_to(target)
        await super().store(job)

    async def fetch(self, job: Any) -> None:
        """Links in the place of whatever the folder held."""
        folder, there = await self._places(job)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for file in there.glob("[!.]*"):
            (folder / file.name).symlink_to(file)
        await super().fetch(job)

    async def _places(self, job: Any) -> tuple[Path, Path]:
        """The folder, and what it is called in the cache."""
        cache: Any = self.rule.workflow.output_file_cache
        ((output, cached),) = await cache.get_outputfiles_and_cachefiles(job)
        return self.folder(output), cached.with_suffix(".folder")


def _files(folder: Path, job: Any) -> Iterator[Path]:
    """All but the output, which may be in the folder."""
    return (file for file in sorted(folder.iterdir()) if file.is_file() and str(file) not in job.output)
