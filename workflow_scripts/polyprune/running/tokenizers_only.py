"""Stages that take nothing but a tokenizer of transformers, whose cold jobs torch stays out of.

transformers' configurations, which its tokenizers bring along, import torch wherever it is installed: 1.3 of the 2.4
CPU-seconds in which such a job begins. A tokenizer gives the same ids without it.
"""

from __future__ import annotations

import os
import sys

TOKENIZERS_ONLY = frozenset({"build_calibration_set", "build_evaluation_set", "build_prompt_set"})


def leave_torch_out(stage: str) -> None:
    """Before anything of the stage is imported. `None` is Python's mark of a module that is not to be had."""
    if stage in TOKENIZERS_ONLY:
        sys.modules["torch"] = None  # type: ignore[assignment]
        os.environ["TRANSFORMERS_NO_ADVISORY_WARNINGS"] = "1"  # that no models can be used
