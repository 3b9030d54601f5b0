"""Tiny random models of every causal language model that transformers has, whatever their sizes are called."""

from __future__ import annotations

from typing import Any

import torch
from transformers import CONFIG_MAPPING, PreTrainedConfig, PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, AutoModelForCausalLM

LAYERS, VOCABULARY, HIDDEN, INNER, HEADS, HEAD = 4, 97, 32, 48, 4, 8
SIZES: dict[str, Any] = {
    **dict.fromkeys(("num_hidden_layers", "n_layer", "n_layers", "num_layers", "decoder_layers"), LAYERS),
    **dict.fromkeys(("encoder_layers", "num_decoder_layers", "num_encoder_layers"), LAYERS),
    **dict.fromkeys(("vocab_size", "n_words", "vocab_size_per_layer_input"), VOCABULARY),
    **dict.fromkeys(("hidden_size", "n_embd", "d_model", "embed_dim", "emb_dim", "embedding_size"), HIDDEN),
    **dict.fromkeys(("word_embed_proj_dim", "input_embedding_size", "lru_width"), HIDDEN),
    **dict.fromkeys(("intermediate_size", "ffn_dim", "n_inner", "decoder_ffn_dim", "encoder_ffn_dim"), INNER),
    **dict.fromkeys(("d_inner", "ffn_hidden_size", "intermediate_size_mlp", "dim_ff"), INNER),
    **dict.fromkeys(("moe_intermediate_size", "shared_expert_intermediate_size", "expert_ffn_hidden_size"), 16),
    **dict.fromkeys(("shared_intermediate_size", "moe_shared_expert_intermediate_size"), 16),
    "shared_experts_intermediate_size": 16,
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "num_heads", "attention_heads"), HEADS),
    **dict.fromkeys(("decoder_attention_heads", "encoder_attention_heads"), HEADS),
    **dict.fromkeys(("num_decoder_attention_heads", "num_encoder_attention_heads"), HEADS),
    **dict.fromkeys(("num_key_value_heads", "num_kv_heads", "kv_n_heads"), 2),
    **dict.fromkeys(("head_dim", "attention_head_dim", "v_head_dim", "rotary_dim", "query_pre_attn_scalar"), HEAD),
    **dict.fromkeys(("kv_channels", "mamba_headdim", "mamba_head_dim", "mamba_d_head"), HEAD),
    **dict.fromkeys(("qk_rope_head_dim", "qk_nope_head_dim"), HEAD),
    **dict.fromkeys(("q_lora_rank", "kv_lora_rank"), 16),
    **dict.fromkeys(("max_position_embeddings", "n_positions", "max_seq_len", "context_length", "max_length"), 64),
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"), 4),
    **dict.fromkeys(("num_experts_per_tok", "num_experts_per_token", "moe_topk", "moe_k", "top_k_experts"), 2),
    **dict.fromkeys(("n_group", "topk_group", "n_shared_experts", "num_shared_experts", "num_expert_group"), 1),
    "moe_num_shared_experts": 1,
    **dict.fromkeys(("first_k_dense_replace", "num_dense_layers", "moe_layer_start_index"), 1),
    **dict.fromkeys(("sliding_window", "attention_window_size", "window_size", "attention_chunk_size"), 8),
    **dict.fromkeys(("ssm_state_size", "mamba_d_state", "state_size", "linear_key_head_dim"), HEAD),
    **dict.fromkeys(("linear_value_head_dim",), HEAD),
    **dict.fromkeys(("linear_num_key_heads", "linear_num_value_heads"), 4),
    **dict.fromkeys(("mamba_num_heads", "mamba_n_heads"), 8),
    **dict.fromkeys(("mamba_d_ssm",), 64),
    **dict.fromkeys(("mamba_chunk_size", "chunk_size"), 8),
    **dict.fromkeys(("mamba_dt_rank", "time_step_rank"), 4),
    **dict.fromkeys(("index_n_heads",), 2),
    **dict.fromkeys(("index_head_dim",), 16),
    **dict.fromkeys(("index_topk",), 8),
    **dict.fromkeys(("bos_token_id",), 0),
    **dict.fromkeys(("eos_token_id", "pad_token_id"), 1),
    **dict.fromkeys(("hidden_dropout", "attention_dropout", "resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0),
    "num_nextn_predict_layers": 0,
    "hidden_size_per_layer_input": 8,
}
"""Values by the names that configurations give their sizes; each takes those that it has."""
TYPES = ("layer_types", "layers_block_type", "mlp_layer_types", "hybrid_override_pattern")
SPECIAL: dict[str, dict[str, Any]] = {
    "cohere_compass_text": {"rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 10000.0}}},
    "deepseek_v2": {"num_experts_per_tok": 2},
    "dots1": {"num_experts_per_tok": 2, "n_shared_experts": 1, "n_routed_experts": 4},
    "falcon_h1": {"ssm_multipliers": [0.5, 0.25, 2.0, 1.5, 0.75]},
    "gpt_neo": {"attention_types": [[["global", "local"], LAYERS // 2]]},
    "hunyuan_v1_dense": {"head_dim": HEAD},
    "hunyuan_v1_moe": {"head_dim": HEAD},
    "kimi_linear": {"linear_head_dim": HEAD, "linear_num_heads": HEADS},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"] * (LAYERS // 2)},
    "mamba2": {"num_heads": 8},
    "ministral": {"head_dim": HEAD},
    "mpt": {"attn_config": {}},
    "longcat_flash": {"n_routed_experts": 4, "zero_expert_num": 2},
    "nemotron": {"head_dim": HEAD, "num_key_value_heads": 2},
    "qwen2_5_vl_text": {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [1, 1, 2]}},
    "zaya": {"num_experts_per_tok": 1},
}
"""What else a model type needs to be small."""


def model_types() -> dict[str, str]:
    """The architecture of every model type that `AutoModelForCausalLM` knows."""
    return {key: name if isinstance(name, str) else name[0] for key, name in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.items()}


def tiny_config(model_type: str, **changes: Any) -> PreTrainedConfig:
    """The default configuration at small sizes, with every kind of layer that the default one has."""
    small = _small(CONFIG_MAPPING[model_type], model_type)
    n_layers = changes.get("num_hidden_layers", LAYERS)
    kinds = {name: small[name][:n_layers] for name in TYPES if name in small and n_layers < LAYERS}
    return CONFIG_MAPPING[model_type](**{**small, **kinds, **changes})


def _small(cls: type[PreTrainedConfig], model_type: str) -> dict[str, Any]:
    default = cls(**SPECIAL.get(model_type, {}).get("__init__", {}))
    names = {name for name in default.to_dict() if not name.startswith("_")} - set(default.sub_configs)
    found = {name: value for name, value in SIZES.items() if name in names and _given(default, name)}
    if getattr(default, "kv_lora_rank", None) is not None and "num_key_value_heads" in found:
        found["num_key_value_heads"] = HEADS  # latent attention has no groups
    found |= {
        name: _each_kind(getattr(default, name)) for name in TYPES if getattr(default, name, None) and name in names
    }
    for name in default.sub_configs:
        part = getattr(default, name, None)
        if isinstance(part, PreTrainedConfig):
            found[name] = _small(type(part), part.model_type)
    return found | {key: value for key, value in SPECIAL.get(model_type, {}).items() if key != "__init__"}


def _given(config: PreTrainedConfig, name: str) -> bool:
    """Whether a configuration gives this size; some give it layer by layer."""
    try:
        return getattr(config, name) is not None
    except (AttributeError, RuntimeError):
        return True


def _each_kind(kinds: list[str]) -> list[str]:
    distinct = list(dict.fromkeys(kinds))
    return [distinct[place % len(distinct)] for place in range(max(LAYERS, len(distinct)))]


def tiny_model(config: PreTrainedConfig, seed: int = 0) -> PreTrainedModel:
    """Random weights, larger than the default initialisation, so that every matrix, norm and bias matters."""
    torch.manual_seed(seed)
    return shaken(AutoModelForCausalLM.from_config(config))


def shaken(model: PreTrainedModel) -> PreTrainedModel:
    """The model with noise on all parameters, from torch's own generator."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval()
