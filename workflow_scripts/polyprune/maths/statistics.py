"""Calibration statistics of one layer input, accumulated over batches of tokens.

    STAT-1   s_j  = Σ_t x_tj²          the squared L2 norm of input feature j (Wanda's ‖X_j‖², arXiv:2306.11695)
    STAT-2   G_jk = Σ_t x_tj x_tk      the Gram matrix X^T X (SparseGPT's and GPTQ's Hessian, arXiv:2301.00774)
    STAT-3   Σ_t x_tj and Var x_j = Σ_t x_tj² / T − (Σ_t x_tj / T)²      T tokens (DSnoT, arXiv:2310.08915)
    STAT-4   m_j  = Σ_t |x_tj| / T     the mean size of input feature j (AWQ, arXiv:2306.00978)
    STAT-5   a_lj = √(Σ_t x_tj² / T_l) over the T_l tokens of language l: the root mean square of feature j in it

Raw sums: the public codes divide by the number of sequences (and double), which no method's result depends on.
Products of 16-bit inputs are exact in float32, so casting before or inside the product is the same.
One statistic serves all matrices that read the same input.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Float32, Float64
from torch import Tensor

from polyprune.maths.checks import require_full_float32

WHOLE_BLOCK = {"cpu": 192, "cuda": 2048}
"""Columns up to which a block on the diagonal of the Gram matrix is one product, its lower half included."""
MIRRORED_ROWS = 256
"""Rows below the diagonal that are filled at once."""


class InputSquares:
    """STAT-1: per input feature the sum of squares over all tokens seen.

    In float32 within a batch, whose sums are taken in pairs of pairs; in float64 across batches.
    """

    def __init__(self, d_in: int, device: torch.device | str = "cpu"):
        self.n_tokens = 0
        self._sum = torch.zeros(d_in, dtype=torch.float64, device=device)

    def update(self, x: Float[Tensor, "n_tokens d_in"]) -> None:
        """Add a batch of tokens."""
        self._sum += _squares(x)
        self.n_tokens += x.shape[0]

    @property
    def total(self) -> Float32[Tensor, " d_in"]:
        """The sums so far.

        Raises:
            ValueError: no tokens were seen.
        """
        _require_tokens(self.n_tokens)
        return self._sum.float()


class InputSquaresByLanguage(InputSquares):
    """STAT-5 beside STAT-1, if it is `joined` of accumulators that saw a language each; else its tokens are of one."""

    def __init__(self, d_in: int, device: torch.device | str = "cpu"):
        super().__init__(d_in, device)
        self._languages: Sequence[InputSquaresByLanguage] = ()

    @classmethod
    def joined(cls, languages: Sequence[InputSquaresByLanguage]) -> InputSquaresByLanguage:
        """All tokens of accumulators of a language each."""
        sums = torch.stack([each._sum for each in languages])
        whole = cls(sums.shape[1], sums.device)
        whole._sum, whole.n_tokens = sums.sum(dim=0), sum(each.n_tokens for each in languages)
        whole._languages = languages
        return whole

    @property
    def root_mean_squares(self) -> Float64[Tensor, "n_languages d_in"]:
        """a_lj, in the order of the languages.

        Raises:
            ValueError: no tokens of a language were seen.
        """
        languages = self._languages or [self]
        _require_tokens(min(each.n_tokens for each in languages))
        return torch.stack([(each._sum / each.n_tokens).sqrt() for each in languages])


class InputMoments(InputSquares):
    """STAT-3 beside STAT-1: per input feature also the sum over all tokens seen, added up in float64."""

    def __init__(self, d_in: int, device: torch.device | str = "cpu"):
        super().__init__(d_in, device)
        self._plain_sum = torch.zeros(d_in, dtype=torch.float64, device=device)

    def update(self, x: Float[Tensor, "n_tokens d_in"]) -> None:
        """Add a batch of tokens."""
        super().update(x)
        self._plain_sum += x.sum(dim=0, dtype=torch.float64)

    @property
    def sums(self) -> Float32[Tensor, " d_in"]:
        """Σ_t x_tj."""
        _require_tokens(self.n_tokens)
        return self._plain_sum.float()

    @property
    def variance(self) -> Float32[Tensor, " d_in"]:
        """Var x_j, over all tokens of all sequences; never below 0."""
        _require_tokens(self.n_tokens)
        mean = self._plain_sum / self.n_tokens
        return (self._sum / self.n_tokens - mean.square()).clamp(min=0).float()


class InputGram:
    """STAT-2: the Gram matrix over all tokens seen, in float32; little below the diagonal is computed."""

    def __init__(self, d_in: int, device: torch.device | str = "cpu", whole_block: int | None = None):
        self.n_tokens = 0
        self._whole_block = whole_block or WHOLE_BLOCK[torch.device(device).type]
        self._sum = torch.zeros(d_in, d_in, device=device)

    def update(self, x: Float[Tensor, "n_tokens d_in"]) -> None:
        """Add a batch of tokens."""
        require_full_float32()
        self._add(self._sum, x if _on_tensor_cores(x) else x.to(self._sum.dtype))
        self.n_tokens += x.shape[0]

    def _add(self, block: Float32[Tensor, "width width"], x: Float[Tensor, "n_tokens width"]) -> None:
        """Add to a block on the diagonal by halves: the product of both halves, and each with itself the same way."""
        if len(block) <= self._whole_block:
            _add_product(block, x, x)
            return
        first, second = slice(None, len(block) // 2), slice(len(block) // 2, None)
        _add_product(block[first, second], x[:, first], x[:, second])
        for half in (first, second):
            self._add(block[half, half], x[:, half])

    @property
    def total(self) -> Float32[Tensor, "d_in d_in"]:
        """The sums so far, exactly symmetric: the accumulator's own buffer, not a copy.

        Raises:
            ValueError: no tokens were seen.
        """
        _require_tokens(self.n_tokens)
        for start in range(0, len(self._sum), MIRRORED_ROWS):
            rows = slice(start, start + MIRRORED_ROWS)
            diagonal_block = self._sum[rows, rows]
            diagonal_block.copy_(diagonal_block.triu() + diagonal_block.triu(1).T)
            self._sum[rows, :start] = self._sum[:start, rows].T
        return self._sum


class InputGramAndSizes(InputGram):
    """STAT-4 beside STAT-2; sizes are added up in float64 across batches."""

    def __init__(self, d_in: int, device: torch.device | str = "cpu", whole_block: int | None = None):
        super().__init__(d_in, device, whole_block)
        self._sizes = torch.zeros(d_in, dtype=torch.float64, device=device)

    def update(self, x: Float[Tensor, "n_tokens d_in"]) -> None:
        """Add a batch of tokens."""
        super().update(x)
        self._sizes += absolute_sums(x)

    @property
    def sizes(self) -> Float32[Tensor, " d_in"]:
        """m_j.

        Raises:
            ValueError: no tokens were seen.
        """
        _require_tokens(self.n_tokens)
        return (self._sizes / self.n_tokens).float()


def absolute_sums(x: Float[Tensor, "n_tokens d_in"]) -> Float32[Tensor, " d_in"]:
    """Σ_t |x_tj|, of which STAT-4 is the mean, in float32."""
    return x.abs().sum(dim=0, dtype=torch.float32)


def _squares(x: Float[Tensor, "n_tokens d_in"]) -> Float32[Tensor, " d_in"]:
    """Σ_t x_tj² in float32; on CUDA in one reading of `x`, without a copy of it in float32."""
    if x.is_cuda:
        return torch.linalg.vector_norm(x, dim=0, dtype=torch.float32).square()
    return x.float().square().sum(dim=0)


def _add_product(
    block: Float32[Tensor, "rows columns"],
    left: Float[Tensor, "n_tokens rows"],
    right: Float[Tensor, "n_tokens columns"],
) -> None:
    """block += left^T right."""
    if _on_tensor_cores(left):
        block += torch.mm(left.T, right, out_dtype=torch.float32)
    else:
        block.addmm_(left.T, right)


def _on_tensor_cores(x: Float[Tensor, "n_tokens d_in"]) -> bool:
    """Whether 16-bit factors can be multiplied as they are, with float32 sums: exact products, as after a cast."""
    return x.is_cuda and x.dtype in (torch.bfloat16, torch.float16)


def _require_tokens(n_tokens: int) -> None:
    if n_tokens == 0:
        raise ValueError("the calibration statistic holds no tokens; update it with at least one batch before reading")
