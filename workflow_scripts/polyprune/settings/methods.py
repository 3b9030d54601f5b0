"""`compression`: settings of the compression methods; a cell depends on those that its own method reads."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from polyprune.grammar.methods import settings_read, traits_of
from polyprune.grammar.paths import origin_of
from polyprune.grammar.schemes import parse_scheme
from polyprune.settings.base import Count, Section


class Gptq(Section):
    """GPTQ; bits and group size are the scheme's (w4g128). "GPTQ at 4 bit" is not one method: public codes differ.

    Defaults are those of transformers' GPTQConfig, the stack of 2024. IST-DASLab/gptq: damping 0.01, asymmetric, not
    true-sequential; llm-compressor: damping 0.01, static groups, act order; GPTQModel: damping 0.05.
    """

    damping: float = Field(default=0.1, gt=0, lt=1, description="share of mean(diag H) added to diag H")
    symmetric: bool = Field(default=True, description="grids symmetric about 0")
    act_order: bool = Field(default=False, description="columns by falling diag H instead of as stored (desc_act)")
    static_groups: bool = Field(default=False, description="grids from the original weights")
    true_sequential: bool = Field(default=True, description="within a layer: q, k, v, then o, then gate, up, then down")


class Awq(Section):
    """AWQ, on asymmetric grids, as in AutoAWQ; bits and group size are the scheme's (w4g128)."""

    duo_scaling: bool = Field(
        default=True, description="scales also follow the weights' evenness; false: activations alone, as in print"
    )
    clip: bool = Field(default=True, description="search limits for the weights of each row and group")
    foldable: bool = Field(
        default=False,
        description="no scales for o_proj where query heads share keys and values, as in AutoAWQ: they cannot be "
        "folded into v_proj, as packed exports need",
    )


class Ria(Section):
    """RIA, as in the authors' code."""

    exponent: float = Field(default=0.5, ge=0, description="of the input norm")
    per_row: bool = Field(default=False, description="compare weights within a row instead of the whole matrix")


class Dsnot(Section):
    """DSnoT, which refines Wanda's mask, as in the authors' code."""

    threshold: float = Field(default=0.1, ge=0, description="a row whose output lacks no more than this is done")
    max_cycles: Count = 50
    same_sign: bool = Field(default=False, description="a row is also done before a swap that turns the sign it lacks")


class Alps(Section):
    """ALPS, as in the authors' code."""

    max_iterations: Count = 300
    refit_iterations: Count = Field(default=10, description="conjugate gradient steps once the support is found")


class Lwanda(Section):
    """Language-aware Wanda, which is ours."""

    weight: float = Field(default=1.0, ge=0, description="of how much languages differ in an input feature; 0: Wanda")


class Owl(Section):
    """Sparsity by layer (schemes that end in -owl), as in the authors' code."""

    outlier_factor: float = Field(default=5.0, gt=0, description="times the layer's mean score makes an outlier")
    spread: float = Field(
        default=0.08, ge=0, lt=0.5, description="half of how far two layers' sparsities lie apart at most"
    )


class Correlation(Section):
    """Sparsity by layer (schemes that end in -correlation), which is ours."""

    spread: float = Field(
        default=0.08,
        gt=-0.5,
        lt=0.5,
        description="half of how far two layers' sparsities lie apart at most; above 0 layers that languages use less "
        "alike are pruned less, below 0 more",
    )


class Compression(Section):
    """Settings of the compression methods, as in the published code."""

    damping: float = Field(default=0.01, gt=0, lt=1, description="share of mean(diag H) added to diag H")
    block_size: Count = Field(default=128, description="columns a block of SparseGPT")
    experts: Literal["routed", "all"] = Field(
        default="routed",
        description="which calibration tokens an expert is compressed from: those that the router sends to it, or all "
        "(llm-compressor's moe_calibrate_all_experts); what the layer computes is the routed experts' in both",
    )
    routers: Literal["dense", "compressed"] = Field(
        default="dense",
        description="routers, and gates of shared experts: left alone, or compressed like linear layers",
    )
    awq: Awq = Awq()
    gptq: Gptq = Gptq()
    ria: Ria = Ria()
    dsnot: Dsnot = Dsnot()
    alps: Alps = Alps()
    lwanda: Lwanda = Lwanda()
    owl: Owl = Owl()
    correlation: Correlation = Correlation()

    def read_by(self, method: str, scheme: str) -> dict[str, Any]:
        """What a cell depends on; nothing if it is read from a checkpoint."""
        if origin_of(method) is not None:
            return {}
        traits = traits_of(method)
        read = self.model_dump(mode="json", include=settings_read(method, parse_scheme(scheme)))
        if self.routers == "compressed" and not traits.experts:
            read |= {"routers": "compressed"}
        return read | ({"experts": "all"} if self.experts == "all" and not (traits.blind or traits.experts) else {})
