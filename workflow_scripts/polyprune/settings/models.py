"""`models`: where a model comes from, its sizes, and the text it is calibrated and evaluated on."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from polyprune.grammar.schemes import Scheme
from polyprune.settings.base import Commit, Count, Language, Section, Seed

Dtype = Literal["float16", "bfloat16", "float32"]


class HubSource(Section):
    """A model on the Hugging Face hub."""

    kind: Literal["hub"]
    id: str = Field(pattern=r"^[\w.-]+/[\w.-]+$")
    revision: Commit | None = Field(None, description="else resolved once into revisions.lock")
    gated: str | None = Field(None, description="licence that must be accepted on the model's page first")
    dtype: Dtype | None = Field(
        default=None, description="weights are used in it; else in the one that config.json names"
    )


class FolderSource(Section):
    """A local folder in Hugging Face layout: config.json, safetensors, tokenizer.json."""

    kind: Literal["folder"]
    path: str
    dtype: Dtype | None = Field(
        default=None, description="weights are used in it; else in the one that config.json names"
    )


class TrainedSource(Section):
    """A tiny model trained by the workflow on the training part of its corpus."""

    kind: Literal["train"]
    architecture: Literal["llama", "cohere"]
    seed: Seed = 0
    steps: Count = 900
    batch_sequences: Count = 8
    sequence_length: Count = 160
    vocabulary: Count = 3072
    muon_learning_rate: float = Field(1e-2, gt=0, description="weight matrices of the decoder layers")
    adam_learning_rate: float = Field(1.2e-2, gt=0, description="embedding and norms")
    weight_decay: float = Field(0.2, ge=0)
    outlier_languages: dict[Language, Annotated[float, Field(gt=0, lt=1)]] = Field(
        default_factory=dict, description="share of the training documents kept, e.g. sw: 0.01"
    )


Source = Annotated[HubSource | FolderSource | TrainedSource, Field(discriminator="kind")]


class Shape(Section):
    """Sizes from the model's config.json: what resources are estimated from before anything is downloaded."""

    layers: Count
    hidden: Count
    intermediate: Count
    heads: Count
    kv_heads: Count
    vocabulary: Count
    max_positions: Count
    bytes_per_weight: Literal[2, 4] = 2

    @property
    def linear_weights(self) -> int:
        """Weights in the linear layers of the decoder."""
        head = self.hidden // self.heads
        attention = self.hidden * head * (2 * self.heads + 2 * self.kv_heads)
        return self.layers * (attention + 3 * self.hidden * self.intermediate)

    def why_not(self, scheme: Scheme) -> str | None:
        """Why the scheme does not fit the model's layers or the rows of its matrices, or None."""
        exchanged = scheme.exchange.indices(self.layers) if scheme.exchange else frozenset[int]()
        if exchanged and max(exchanged) >= self.layers:
            return f"it has {self.layers} layers, counted from 1"
        if len(exchanged) == self.layers:
            return f"these are all of its {self.layers} layers"
        for name, width in (("hidden", self.hidden), ("intermediate", self.intermediate)):
            if scheme.n_of_m and width % scheme.n_of_m[1]:
                return f"its {name} width {width} is no multiple of {scheme.n_of_m[1]}"
        return None


FROM_MODEL, NO_TOKEN = "model", "none"


class TextSettings(Section):
    """The text a model is calibrated and evaluated on, in its own tokens."""

    corpus: str
    sequence_length: Count
    calibration_sequences: Count
    evaluation_sequences: Count
    sampling: Literal["long_documents", "packed"] = Field(
        description="long_documents: a random window of a random document longer than the window (the paper's); "
        "packed: short documents joined"
    )
    bos: str = Field(
        FROM_MODEL,
        min_length=1,
        description="before each document of packed text: model (config.json's BOS; nothing where it is also the "
        "separator or begins a turn of a chat, as in Qwen and SmolLM2), none, or a token such as <s>",
    )
    separator: str = Field(
        FROM_MODEL,
        min_length=1,
        description="after each document of packed text: model (config.json's EOS; <|endoftext|> where that is "
        "<|im_end|>, which ends a turn of a chat), none, or a token such as </s>",
    )
    sampled_tokens: Count = Field(256, description="tokens a language whose hidden states are kept whole")


class Model(Section):
    """A model and how it is used; the key is its name in every path."""

    title: str = Field(description="name in tables")
    source: Source
    shape: Shape
    text: TextSettings
    prompts: str | None = Field(None, description="parallel prompts for LSAR: a key of `prompts`")
