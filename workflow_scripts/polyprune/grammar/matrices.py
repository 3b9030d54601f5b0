"""Names of a decoder layer's matrices in print."""

_NAMES = {
    "q_proj": "q",
    "k_proj": "k",
    "v_proj": "v",
    "o_proj": "attn.out",
    "gate_proj": "ffn.gate",
    "up_proj": "ffn.up",
    "down_proj": "ffn.down",
}


def matrix_title(name: str) -> str:
    """The paper's name of a matrix, `self_attn.q_proj` or longer; other models' matrices keep the end of their own."""
    end = name.rpartition(".")[2]
    return _NAMES.get(end, end)
