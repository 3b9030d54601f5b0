"""What stages import before they begin: most of what a short job costs on a cluster, where no worker is warm."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.helpers.cells import arguments, register
from tests.helpers.tiny import random_model

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
NEVER = {
    *("torch._dynamo.convert_frame", "torch._inductor", "torch.distributed.tensor", "sympy", "scipy.optimize"),
    *("torch._decomp.decompositions", "torch._prims.rng_prims", "torch._refs.linalg"),
}
"""torch's compiler and what comes with it, what transformers' losses of detectors take, operators without numbers."""


def imported(stages: set[str]) -> set[str]:
    """Modules that a process has which ran these stages' imports, as jobs do."""
    lines = [
        "from polyprune.running import late_imports",
        "from polyprune.running.tokenizers_only import leave_torch_out",
        "late_imports.install()",
        *(f"leave_torch_out({stage!r})" for stage in sorted(stages)),
        "import polyprune.running.run",
        *(f"import polyprune.stages.{stage}" for stage in sorted(stages)),
    ]
    return set(said_by([*lines, "import json, sys", "print(json.dumps([n for n in sys.modules if sys.modules[n]]))"]))


def said_by(lines: list[str], gpus: str = "") -> Any:
    """The JSON that a process prints which runs these lines, and may see these GPUs."""
    environment = os.environ | {"PYTHONPATH": str(Path(PACKAGE).parent), "CUDA_VISIBLE_DEVICES": gpus}
    run = subprocess.run([sys.executable, "-c", "\n".join(lines)], env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_a_command_that_hands_its_job_on_imports_next_to_nothing():
    """A local run has one for every job; the warm worker has the rest."""
    lines = ["import polyprune.__main__", "import json, sys", "print(json.dumps(sorted(sys.modules)))"]
    modules = set(said_by(lines))
    assert not modules & {"subprocess", "tempfile", "random", "pydantic", "numpy", "polyprune.running.run"}
    assert len(modules) < 110


def test_stages_that_need_no_torch_do_not_import_it():
    modules = imported(STAGES - MODELS - TENSORS - TOKENIZERS_ONLY)
    assert not modules & {"torch", "transformers", "sympy", "lm_eval"}
    assert len(modules) < MOST_MODULES[0]


def test_stages_of_tokenizers_import_transformers_without_torch():
    modules = imported(set(TOKENIZERS_ONLY))
    assert "transformers" in modules and not modules & {"torch", "sympy", "lm_eval"}
    assert "transformers.models.auto" in modules and "transformers.modeling_utils" not in modules
    assert len(modules) < 900


def test_stages_of_matrices_import_no_transformers():
    modules = imported(TENSORS)
    assert "torch" in modules and not modules & {*NEVER, "transformers", "lm_eval"}
    assert len(modules) < MOST_MODULES[1]


def test_stages_that_only_write_a_folder_import_no_models():
    """Of models, only the configurations: `probing`, which takes them up, comes when there is something to try."""
    modules = imported({"convert_model"})
    assert {"torch", "transformers"} <= modules and not modules & {*NEVER, "transformers.modeling_utils", "lm_eval"}
    assert len(modules) < 1700


def test_stages_that_run_models_import_no_compiler():
    modules = imported(MODELS - {"evaluate_model"})
    assert "transformers.modeling_utils" in modules and not modules & {*NEVER, "lm_eval", "datasets"}
    assert len(modules) < 2500
    evaluation = imported({"evaluate_model"})
    assert "lm_eval.api.task" in evaluation and not evaluation & NEVER
    assert len(evaluation) < 2850


LATE = ["import json, sys", "from polyprune.running import late_imports", "late_imports.install()"]


def test_a_job_that_runs_a_model_imports_no_more_of_the_compiler(tmp_path: Path):
    """sympy came in with rotary frequencies that were computed on torch's meta device."""
    register(random_model("llama"), tmp_path)
    argv = arguments(tmp_path, "wanda", "0.50", tmp_path / "cell.safetensors")
    lines = [*LATE, "from polyprune.running.run import run", f"code = run({argv!r})"]
    code, modules = said_by([*lines, "print(json.dumps([code, [n for n in sys.modules if sys.modules[n]]]))"])
    assert code == 0 and "polyprune.stages.prune_model" in modules and not set(modules) & NEVER


def test_stages_that_run_models_do_not_look_through_all_models():
    lines = [
        *LATE,
        *(f"import polyprune.stages.{stage}" for stage in sorted(MODELS)),
        "unread = ['_again' in vars(sys.modules[name]) for name in ('transformers', 'transformers.models')]",
        "print(json.dumps(unread))",
    ]
    assert said_by(lines) == [True, True]


def test_transformers_has_all_its_names():
    """As without us, whichever is asked first: one of a model, one that is nowhere, or all of them."""
    told = [
        "missing = [hasattr(transformers, 'Nothing'), hasattr(transformers.models, 'Nothing')]",
        "found = [sorted(each.__all__) for each in (transformers, transformers.models)]",
        "print(json.dumps([missing, found, sorted(set(found[0]) - set(dir(transformers)))]))",
    ]
    plain = said_by(["import json, transformers, transformers.models", *told])
    assert plain[0] == [False, False] and "LlamaForCausalLM" in plain[1][0] and plain[2] == []
    assert said_by([*LATE, "import transformers, transformers.models.llama", *told]) == plain
    assert said_by([*LATE, "import transformers.models", "transformers.LlamaForCausalLM", *told]) == plain


def test_others_of_the_compiler_of_devices_and_of_optimisers_in_the_same_process(tmp_path: Path):
    said = said_by(
        [
            *LATE,
            "import torch, transformers.models.llama.modeling_llama, scipy.optimize, torch.distributed as devices",
            f"devices.init_process_group('gloo', init_method='file://{tmp_path / 'store'}', rank=0, world_size=1)",
            "from torch.distributed.tensor import Shard, distribute_tensor, init_device_mesh",
            "whole = distribute_tensor(torch.arange(4.0), init_device_mesh('cpu', (1,)), [Shard(0)])",
            "total = (whole + whole).full_tensor().tolist()",
            "devices.destroy_process_group()",
            "_, columns = scipy.optimize.linear_sum_assignment([[4, 1], [2, 8]])",
            "graph = torch.export.export(torch.nn.Linear(2, 1, bias=False), (torch.ones(1, 2),))",
            "print(json.dumps([total, columns.tolist(), len(graph.graph_signature.parameters)]))",
        ]
    )
    assert said == [[0.0, 2.0, 4.0, 6.0], [1, 0], 1]


def test_garbage_is_looked_for_when_the_stage_is_imported(tmp_path: Path):
    said = said_by(
        [
            "import gc, json, sys, types",
            "import polyprune.__main__",
            "seen = []",
            "def stage(): seen.extend([gc.isenabled(), gc.get_freeze_count() > 10_000])",
            "module = sys.modules['polyprune.stages.new'] = types.ModuleType('new')",
            "module.__getattr__ = lambda name: seen.append(gc.isenabled()) or stage",
            f"words = ['new', '--settings', '{{}}', '--log', {str(tmp_path / 'log')!r}, '--threads', '1']",
            "sys.argv = ['polyprune', *words]",
            "code = polyprune.__main__.main()",
            "print(json.dumps([code, *seen]))",
        ]
    )
    assert said == [0, False, True, True]


def test_what_is_left_out_comes_when_it_is_asked_for():
    """Marks of the compiler are the functions themselves; the compiler and the list of models are the real ones."""
    said = said_by(
        [
            *LATE,
            "import torch, transformers.models.llama.modeling_llama",
            "def one(x): return x + 1",
            "marked = [torch.compiler.disable(one), torch.compiler.disable(recursive=False)(one)]",
            "before = [each is one for each in marked], 'torch._dynamo.eval_frame' in sys.modules",
            "seen = []",
            "compiled = torch.compile(one, backend=lambda graph, inputs: seen.append(len(inputs)) or graph.forward)",
            "added = compiled(torch.ones(2)).tolist()",
            "config = transformers.models.LlamaConfig is transformers.LlamaConfig",
            "print(json.dumps([before, added, seen, config, torch._dynamo.disable(one) is one]))",
        ]
    )
    assert said == [[[True, True], False], [2.0, 2.0], [1], True, False]


def test_operators_without_numbers_come_when_they_are_asked_for():
    """By a family that computes on torch's meta device, by torch itself, and by who works with them."""
    there = "there = ['torch._refs.linalg' in sys.modules]"
    look = "there.append('torch._refs.linalg' in sys.modules)"
    model = [
        "from polyprune.model.meta import on_meta",
        "seen = on_meta(lambda: torch.where(torch.ones(2, 1) > 0, torch.ones(2), torch.ones(3, 1, 1)).shape)",
    ]
    shapes = ["seen = torch.broadcast_shapes((2, 1), (3, 1, 2))"]
    told = "print(json.dumps([there, list(seen)]))"
    for lines in (model, shapes):
        assert said_by([*LATE, "import torch", there, *lines, look, told]) == [[False, True], [3, 2, 2]]
    table = "print(json.dumps(sorted(map(str, core_aten_decompositions()))))"
    asked = ["from torch._decomp import core_aten_decompositions", table]
    assert said_by([*LATE, *asked]) == said_by(["import json", *asked])


@pytest.mark.parametrize("name", ["torch._prims.rng_prims", "torch._refs.linalg", "torch._dynamo.eval_frame"])
def test_a_module_of_what_comes_late_runs_once(name: str):
    """Its package, which runs first, imports it while it is looked for."""
    count = [
        "from importlib.machinery import SourceFileLoader as Loader",
        "seen, own = [], Loader.exec_module",
        "Loader.exec_module = lambda self, module: seen.append(module.__name__) or own(self, module)",
        f"import torch, {name}",
        f"told = seen.count({name!r}), sys.modules[{name!r}].__spec__.loader.__class__ is Loader",
        "print(json.dumps(told))",
    ]
    assert said_by([*LATE, *count]) == [1, True]


def test_where_there_is_a_gpu_torch_is_imported_whole():
    lines = [*LATE, "import torch", "print(json.dumps('torch._refs.linalg' in sys.modules))"]
    assert [said_by(lines, gpus) for gpus in ("", "0")] == [False, True]
