"""What the warm worker imports before it forks: torch, the model classes and the harness that heavy stages need."""

import lm_eval.api.task
import lm_eval.evaluator  # noqa: F401
import transformers.models.cohere.modeling_cohere
import transformers.models.llama.modeling_llama  # noqa: F401

import polyprune.model.decoder  # noqa: F401
