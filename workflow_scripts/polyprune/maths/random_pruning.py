"""Random pruning: the floor that every method has to beat.

RAND-1   per output row ⌊s·d_in⌋ weights go (n:m: m − n of every m), each choice equally likely
"""

import torch
from jaxtyping import Bool, Float
from torch import Generator, Tensor

from polyprune.grammar.schemes import Scheme
from polyprune.maths.selection import keep_per_row


def random_keep(
    weight: Float[Tensor, "d_out d_in"], scheme: Scheme, generator: Generator
) -> Bool[Tensor, "d_out d_in"]:
    """RAND-1; scores are drawn on the generator's device in float64, so ties play no part."""
    scores = torch.rand(weight.shape, dtype=torch.float64, generator=generator, device=generator.device)
    return keep_per_row(scores, scheme).to(weight.device)
