"""What the warm worker imports before it forks: torch and the model classes that every heavy stage needs."""

import transformers.models.cohere.modeling_cohere
import transformers.models.llama.modeling_llama  # noqa: F401

import polyprune.model.decoder  # noqa: F401
