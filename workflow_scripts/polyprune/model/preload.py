"""What the warm worker imports before it forks: torch, the model classes, HDF5 and the harness for heavy stages.

And transformers' rules for loading models of all families, which it puts together once a process, in 0.2 s.
"""

import lm_eval.api.task
import lm_eval.evaluator  # noqa: F401
from transformers.conversion_mapping import get_checkpoint_conversion_mapping

import polyprune.artifacts.hidden_states
import polyprune.model.compression  # noqa: F401

get_checkpoint_conversion_mapping("llama")
