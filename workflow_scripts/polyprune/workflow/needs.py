"""Threads, memory, minutes and GPU of each kind of job, as Snakemake takes them: a mapping for `resources`.

Memory is what such a job needed by the records in `logs/`, with room, or a formula where there is none; with a GPU not
less than the formula, for what its driver pins may be in no record. What grows with attempts does so because a job that
failed may have lacked it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import Any

from polyprune.grammar.methods import traits_of
from polyprune.settings.config import Settings
from polyprune.settings.models import Model
from polyprune.workflow import costs
from polyprune.workflow.as_used import as_used
from polyprune.workflow.bundles import record_key
from polyprune.workflow.prices import Key, needed_mb
from polyprune.workflow.wildcards import Wildcards

_ROOM = 1.25
"""Times what was needed: other text, other seeds."""
Resources = dict[str, Any]
"""Names and values, or functions of wildcards, and of the attempt where it matters."""


class Needs:
    """What jobs need under some settings; `gpu_model` and `constraint` are the cluster's, for jobs that want a GPU."""

    def __init__(self, settings: Settings, gpu_model: str | None, constraint: str | None) -> None:
        self.settings, self.gpu_model, self.constraint = settings, gpu_model, constraint

    @cached_property
    def _recorded(self) -> dict[Key, float]:
        return needed_mb()

    def threads(self, wildcards: Wildcards) -> int:
        return costs.cpus(self._model(wildcards))

    def small(self, megabytes: int, minutes: int) -> Resources:
        """A job without a GPU whose needs do not depend on the model."""
        return {
            "mem_mb": lambda _, attempt: attempt * megabytes,
            "runtime": lambda _, attempt: attempt * minutes,
        }

    def compression(self) -> Resources:
        return self._on_gpu(
            _compressing,
            lambda model, cell: costs.compression_memory_mb(model, cell["method"], cell["calibration"]),
            lambda model, cell: costs.compression_flops(model, cell["method"], cell["calibration"]),
        )

    def allocation(self, rule: str) -> Resources:
        """A pass of calibration text through the dense model, by a rule of this name."""
        method = costs.ALLOCATION_COSTS_LIKE
        return self._on_gpu(
            lambda _: rule,
            lambda model, wildcards: costs.compression_memory_mb(model, method, wildcards["calibration"]),
            lambda model, wildcards: costs.compression_flops(model, method, wildcards["calibration"]),
        )

    def dump(self, rule: str, n_cells: int) -> Resources:
        """The dense model and so many cells pushed through text, by a rule of this name."""
        return self._on_gpu(
            lambda _: rule,
            lambda model, _: costs.dump_memory_mb(model, n_cells),
            lambda model, wildcards: costs.dump_flops(
                model, len(self.settings.languages_of(wildcards["model"])), n_cells
            ),
        )

    def evaluation(self) -> Resources:
        return self._on_gpu(
            lambda _: "evaluate_model",
            lambda model, _: costs.evaluation_memory_mb(model),
            lambda model, wildcards: costs.evaluation_flops(
                model, self.settings.all_benchmarks[wildcards["benchmark"]]
            ),
        )

    def writing(self) -> Resources:
        """The dense model writing calibration text."""
        return self._on_gpu(
            lambda _: "write_text",
            lambda model, _: costs.evaluation_memory_mb(model),
            lambda model, wildcards: costs.writing_flops(model, wildcards["calibration"]),
        )

    def _on_gpu(
        self,
        rule: Callable[[Wildcards], str],
        memory_mb: Callable[[Model, Wildcards], int],
        flops: Callable[[Model, Wildcards], float],
    ) -> Resources:
        rate = self.settings.engine.planning_flops

        def memory(wildcards: Wildcards) -> int:
            # Never below the formula: a record may be of the warm worker, which had the libraries in memory before.
            recorded = self._recorded.get(record_key(rule(wildcards), dict(wildcards.items())), 0.0)
            return max(memory_mb(self._model(wildcards), wildcards), math.ceil(_ROOM * recorded))

        def gpu(wildcards: Wildcards) -> int:
            return costs.gpus(self._model(wildcards))

        def only_with_gpu(value: str) -> Callable[[Wildcards], str | None]:
            return lambda wildcards: value if gpu(wildcards) else None

        of_cluster = {"gpu_model": self.gpu_model, "constraint": self.constraint}
        return {
            "gpu": gpu,
            **{name: only_with_gpu(value) for name, value in of_cluster.items() if value is not None},
            "mem_mb": lambda wildcards, attempt: attempt * memory(wildcards),
            "runtime": lambda wildcards, attempt: (
                attempt * costs.minutes(flops(self._model(wildcards), wildcards), rate)
            ),
        }

    def _model(self, wildcards: Wildcards) -> Model:
        return as_used(self.settings, wildcards["model"])


def _compressing(wildcards: Wildcards) -> str:
    """The rule that makes a cell of the method."""
    traits = traits_of(wildcards["method"])
    if traits.experts:
        return "remove_experts"
    return "reconstruct_model" if traits.updates else "prune_model"
