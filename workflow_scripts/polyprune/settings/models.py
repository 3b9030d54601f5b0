"""`models`: where a model comes from, its sizes, and the text it is calibrated and evaluated on."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from polyprune.errors import UserError
from polyprune.grammar.schemes import Scheme
from polyprune.settings.base import Commit, Count, Key, Language, Section, Seed
from polyprune.settings.sizes import locked_sizes, sizes_of_folder, sizes_of_gguf

Dtype = Literal["float16", "bfloat16", "float32"]


class HubSource(Section):
    """A model on the Hugging Face hub."""

    kind: Literal["hub"]
    id: str = Field(pattern=r"^[\w.-]+/[\w.-]+$")
    revision: Commit | None = Field(default=None, description="else resolved once into revisions.lock")
    gated: str | None = Field(default=None, description="licence that must be accepted on the model's page first")
    dtype: Dtype | None = Field(
        default=None,
        description="weights are used in it; else in the one that config.json names or, if that has 16 bits and a CPU "
        "that computes the model is faster in it, in float32",
    )


class FolderSource(Section):
    """A local folder in Hugging Face layout: config.json, safetensors, tokenizer.json."""

    kind: Literal["folder"]
    path: str
    dtype: Dtype | None = Field(
        default=None,
        description="weights are used in it; else in the one that config.json names or, if that has 16 bits and a CPU "
        "that computes the model is faster in it, in float32",
    )


class _ConvertedSource(Section):
    """A model that is written out in safetensors, beside its manifest, before it is used."""

    path: str | None = None
    id: str | None = Field(default=None, pattern=r"^[\w.-]+/[\w.-]+$")
    revision: Commit | None = Field(default=None, description="of `id`; else resolved once into revisions.lock")
    gated: str | None = Field(default=None, description="licence that must be accepted on the model's page first")
    dtype: Dtype | None = Field(default=None, description="weights are written in it; else in float32")

    @model_validator(mode="after")
    def _is_in_one_place(self) -> Self:
        if (self.path is None) == (self.id is None):
            raise ValueError("say `path`, of this machine, or `id`, of the hub: one of them")
        return self


class GgufSource(_ConvertedSource):
    """A GGUF file, of this machine or of the hub. Its weights are dequantised by transformers' reader."""

    kind: Literal["gguf"]
    file: str | None = Field(default=None, description="with `id`: which of the repository's files")

    @model_validator(mode="after")
    def _names_its_file(self) -> Self:
        if (self.id is None) != (self.file is None):
            raise ValueError("`file` names one of the files of `id`")
        return self


class PickledSource(_ConvertedSource):
    """A folder or a repository of the hub whose weights are pytorch_model*.bin: only weights are read from them."""

    kind: Literal["pickles"]


class TrainedSource(Section):
    """A tiny model trained by the workflow on the training part of its corpus."""

    kind: Literal["train"]
    architecture: Literal["llama", "cohere", "olmoe"] = Field(
        description="olmoe: a mixture of eight experts a layer, as wide as `shape.intermediate`, two for a token"
    )
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


Source = Annotated[HubSource | FolderSource | GgufSource | PickledSource | TrainedSource, Field(discriminator="kind")]


class Shape(Section):
    """Sizes as the model's config.json says them: what resources are estimated from."""

    layers: Count
    hidden: Count
    intermediate: Count
    heads: Count
    kv_heads: Count
    vocabulary: Count
    max_positions: Count
    bytes_per_weight: Literal[2, 4] = 2
    head: Count | None = Field(default=None, description="width of an attention head, where it is not hidden / heads")
    experts: Count | None = Field(default=None, description="of a layer of a mixture of experts, shared ones left out")
    expert_width: Count | None = Field(default=None, description="of one expert, where it is not `intermediate`")
    experts_per_token: Count | None = Field(default=None, description="to which a router sends a token")
    shared_width: Count | None = Field(default=None, description="of all experts together that see every token")

    @property
    def divides(self) -> bool:
        """Whether heads have whole sizes and groups."""
        return not (self.heads % self.kv_heads or (self.head is None and self.hidden % self.heads))

    @property
    def linear_weights(self) -> int:
        """Weights in the linear layers of the decoder; of a mixture as if all layers had experts."""
        return self._weights(self.experts or 1)

    @property
    def active_weights(self) -> int:
        """Of these, those that a token meets."""
        return self._weights(min(self.experts_per_token or 1, self.experts or 1))

    @property
    def mlp_width(self) -> int:
        """Of one expert, or of the MLP where there is one only."""
        return (self.experts and self.expert_width) or self.intermediate

    def _weights(self, n_experts: int) -> int:
        head = self.head or self.hidden // self.heads
        attention = self.hidden * head * (2 * self.heads + 2 * self.kv_heads)
        mlps = n_experts * self.mlp_width + (self.shared_width or 0)
        return self.layers * (attention + 3 * self.hidden * mlps)

    def why_not(self, scheme: Scheme) -> str | None:
        """Why the scheme does not fit the model's layers or the rows of its matrices, or None."""
        exchanged = scheme.exchange.indices(self.layers) if scheme.exchange else frozenset[int]()
        if exchanged and max(exchanged) >= self.layers:
            return f"it has {self.layers} layers, counted from 1"
        if len(exchanged) == self.layers:
            return f"these are all of its {self.layers} layers"
        for name, width in (("hidden", self.hidden), ("intermediate", self.mlp_width)):
            if scheme.n_of_m and width % scheme.n_of_m[1]:
                return f"its {name} width {width} is no multiple of {scheme.n_of_m[1]}"
        return None


class SelfWritten(Section):
    """Text that the dense model writes itself (`de+self`), from beginnings of the corpus' calibration documents."""

    prefix_tokens: Count = Field(default=16, description="of a document, which the model goes on from")
    temperature: float = Field(default=1.0, gt=0, description="of sampling: the logits are divided by it")
    top_p: float = Field(
        default=0.95, gt=0, le=1, description="the likeliest tokens with so much of the probability are sampled from"
    )
    dropped: float = Field(
        default=0.2, ge=0, lt=1, description="share of the texts left out, those that the model finds least likely"
    )


FROM_MODEL, NO_TOKEN = "model", "none"
PUBLISHED = "published"


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
    sampling_of: dict[Key, Literal["long_documents", "packed"]] = Field(
        default={},
        description="the same of another corpus that calibrations name (`de@tico19`), where it is sampled otherwise",
    )
    framing: Literal["documents", "published"] = Field(
        default="documents",
        description="of packed and evaluation text. documents: each stands between `bos` and `separator`, as in "
        "pretraining; published: documents joined by a blank and tokenised as one text, as in the published code of "
        "Wanda and SparseGPT (the paper's)",
    )
    bos: str = Field(
        default=FROM_MODEL,
        min_length=1,
        description="before each document: model (config.json's BOS; nothing where it is also the separator or begins "
        "a turn of a chat, as in Qwen and SmolLM2), none, or a token such as <s>",
    )
    separator: str = Field(
        default=FROM_MODEL,
        min_length=1,
        description="after each document: model (config.json's EOS; where that ends a turn of a chat, the family's end "
        "of a document), none, or a token such as </s>",
    )
    self_written: SelfWritten = SelfWritten()
    sampled_tokens: Count = Field(default=256, description="tokens a language whose hidden states are kept whole")


class Model(Section):
    """A model and how it is used; the key is its name in every path."""

    title: str = Field(description="name in tables")
    source: Source
    shape: Shape | None = Field(
        None,
        description="by hand: compared with the model's own. Else read: of a folder or file at once, of the hub when "
        "the model is registered",
    )
    text: TextSettings
    prompts: str | None = Field(default=None, description="parallel prompts for LSAR: a key of `prompts`")

    @cached_property
    def sizes(self) -> Shape:
        """`shape`, or what the model's files say.

        Raises:
            UserError: they say it not, or are of the hub and not registered yet.
        """
        asked = getattr(self.source, "dtype", None)
        in_asked = {"bytes_per_weight": 4 if asked == "float32" else 2} if asked else {}
        if self.shape is not None:
            return self.shape.model_copy(update=in_asked) if in_asked else self.shape
        found = _read_sizes(self.source, f"model {self.title}")
        if found is None:
            raise UserError(
                f"model {self.title}: its sizes are not known before it is registered: make its results/…/model.json "
                "first, or say `shape`"
            )
        return Shape.model_validate(found | in_asked)

    @property
    def known_sizes(self) -> Shape | None:
        """None where `sizes` raises: who needs them says why."""
        try:
            return self.sizes
        except UserError:
            return None


def _read_sizes(source: Source, place: str) -> dict[str, int] | None:
    match source:
        case FolderSource() | PickledSource(path=str()):
            return sizes_of_folder(Path.cwd() / Path(str(source.path)).expanduser(), place)
        case GgufSource(path=str()):
            return sizes_of_gguf(Path.cwd() / Path(str(source.path)).expanduser(), place, source.dtype)
        case HubSource() | PickledSource():
            return locked_sizes(str(source.id), source.revision)
        case GgufSource():
            return locked_sizes(str(source.id), source.revision, source.file)
    return None
