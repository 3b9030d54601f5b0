"""How far hidden states move when a model is compressed (Kurz et al. 2024, arXiv:2408.14398, appendix D.1).

    DRIFT-1   E   = 1/(N d) Σ_i ‖(h_i − h̃_i) / μ‖²      eq. 1: pruning error; μ is the mean norm of the dense h_i
    DRIFT-2   SNR = 10 log10( Σ_i ‖h_i‖² / Σ_i ‖h_i − h̃_i‖² )      eq. 2: in dB; μ cancels
    DRIFT-3   E′, SNR′: DRIFT-1 and DRIFT-2 over the tokens whose norm is not massive (MASSIVE-1), μ too      ours

h_i are a layer's hidden states of N tokens in the dense model, h̃_i in the compressed one. Of a model: the mean over
layers of the layers' values (for SNR, of decibels). Both follow from four sums over tokens, so they are exact over all
tokens however these are batched: N, Σ‖h‖, Σ‖h‖², Σ‖h − h̃‖². NumPy, because what reads these sums has no need of torch.
"""

import numpy as np
from jaxtyping import Float64


def pruning_error(
    n_tokens: int | np.ndarray,
    norm: Float64[np.ndarray, "*any n_layers"],
    diff: Float64[np.ndarray, "*any n_layers"],
    d_model: int,
) -> Float64[np.ndarray, "*any n_layers"]:
    """DRIFT-1 per layer from Σ‖h‖ and Σ‖h − h̃‖² over tokens, and their number, in all layers or in each."""
    mean_norm = norm / n_tokens
    return diff / (n_tokens * d_model * mean_norm**2)


def snr_db(
    sq: Float64[np.ndarray, "*any n_layers"], diff: Float64[np.ndarray, "*any n_layers"]
) -> Float64[np.ndarray, "*any n_layers"]:
    """DRIFT-2 per layer from Σ‖h‖² and Σ‖h − h̃‖² over tokens; infinite where nothing changed."""
    with np.errstate(divide="ignore"):
        return 10 * np.log10(sq / diff)
