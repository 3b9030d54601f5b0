"""What the warm worker imports before it forks: torch, the model classes and the harness that heavy stages need."""

import transformers.models.cohere.modeling_cohere
import transformers.models.llama.modeling_llama  # noqa: F401

import polyprune.model.decoder  # noqa: F401
