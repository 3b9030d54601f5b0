"""What stages import before they begin: most of what a short job costs on a cluster, where no worker is warm."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from polyprune.provenance import PACKAGE
from polyprune.running.tokenizers_only import TOKENIZERS_ONLY

STAGES = {file.stem for file in (PACKAGE / "stages").glob("[a-z]*.py")}
MODELS = {
    *("prune_model", "measure_outliers", "measure_correlations", "write_text"),
    *("dump_hidden_states", "dump_prompts", "count_activations", "train_model", "convert_model", "evaluate_model"),
    *("import_cell", "measure_routing", "measure_activation_ranges", "remove_experts"),
}
"""Stages that run a model or read its weights by transformers."""
TENSORS = {"compose_cell", "export_model", "measure_mask_iou", "compare_masks"}
"""Stages that only take matrices up and put them down."""
MOST_MODULES = 2400, 2800
"""Of stages without torch, and of stages with torch and without transformers, all of a kind in one process."""


def imported(stages: set[str]) -> set[str]:
    """Modules that a process has which ran these stages' imports, as jobs do."""
    lines = [
        "from polyprune.running.tokenizers_only import leave_torch_out",
        *(f"leave_torch_out({stage!r})" for stage in sorted(stages)),
        "import polyprune.running.run",
        *(f"import polyprune.stages.{stage}" for stage in sorted(stages)),
    ]
    code = "\n".join(
        [*lines, "import json, sys", "print(json.dumps([name for name in sys.modules if sys.modules[name]]))"]
    )
    environment = os.environ | {"PYTHONPATH": str(Path(PACKAGE).parent)}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return set(json.loads(run.stdout))


def test_stages_that_need_no_torch_do_not_import_it():
    modules = imported(STAGES - MODELS - TENSORS - TOKENIZERS_ONLY)
    assert not modules & {"torch", "transformers", "sympy", "lm_eval"}
    assert len(modules) < MOST_MODULES[0]


def test_stages_of_tokenizers_import_transformers_without_torch():
    modules = imported(set(TOKENIZERS_ONLY))
    assert "transformers" in modules and not modules & {"torch", "sympy", "lm_eval"}
    assert len(modules) < 900


def test_stages_of_matrices_import_no_transformers():
    modules = imported(TENSORS)
    assert "torch" in modules and not modules & {"transformers", "sympy", "lm_eval"}
    assert len(modules) < MOST_MODULES[1]
