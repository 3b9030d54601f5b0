"""Choose experts to remove, layer by layer: what each adds to the output of the dense layer, by the layer's own code.

States are the dense model's throughout, as in the authors' code of REAP: a removed expert changes nothing for the
choice in later layers. One layer is in memory at a time; finished layers are kept beside the output, as of other cells.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from polyprune.artifacts.cells import finished_layer, save_layer
from polyprune.artifacts.weights import SparseWeight
from polyprune.errors import UserError
from polyprune.grammar.schemes import Scheme
from polyprune.log import Progress
from polyprune.maths.reap import experts_kept, saliency
from polyprune.model.calibration import Calibration
from polyprune.model.compression import propagate
from polyprune.model.fewer_experts import experts_of

See = Callable[[int, Tensor], None]
"""Told an expert and the norms of what it adds for each token that it was sent, (n_tokens,)."""


@torch.inference_mode()
def remove_experts_of(calibration: Calibration, scheme: Scheme, parts: Path, metadata: Mapping[str, Any]) -> None:
    """Choose by REAP-1 and REAP-2 in all layers and leave each in `parts`; `metadata` identifies the job.

    Raises:
        UserError: the model has no experts, or fewer of them make no model of this family.
    """
    decoder, batch = calibration.decoder, calibration.batch
    fewer = decoder.fewer_experts
    fewer.require(fewer.n_experts - scheme.removed_of(fewer.n_experts))
    hidden, calls = decoder.embed(calibration.tokens, batch, calibration.offload)
    progress = Progress(decoder.n_layers, "layer", every=0.0)
    for index, layer in decoder.walk():
        where = f"{decoder.prefix}.{index}"
        done, experts = finished_layer(parts, index, metadata), experts_of(layer, where)
        if done or experts is None:
            propagate(layer, hidden, calls[index], batch)
            if not done:
                save_layer(parts, index, {}, metadata)
            progress.report(index + 1, "taken over" if done else "no experts")
            continue
        name, module = experts
        norms = torch.zeros(fewer.n_experts, dtype=torch.float64)
        counts = torch.zeros(fewer.n_experts, dtype=torch.int64)

        def add(expert: int, found: Tensor, norms: Tensor = norms, counts: Tensor = counts) -> None:
            norms[expert] += found.double().sum().cpu()
            counts[expert] += len(found)

        with contributions(module, add, where):
            propagate(layer, hidden, calls[index], batch)
        found = saliency(norms, counts)
        try:
            keep = experts_kept(found, scheme)
        except ValueError as error:
            raise UserError(f"{where}: {error}") from error
        full = f"{where}.{name}"
        about = {"saliency": {full: found.tolist()}, "sent": {full: counts.tolist()}}
        save_layer(parts, index, {full: SparseWeight(keep[None], None)}, metadata, about)
        gone = ", ".join(str(expert) for expert in (~keep).nonzero().flatten().tolist())
        progress.report(index + 1, f"without experts {gone or 'none'}")


@contextmanager
def contributions(module: nn.Module, see: See, where: str) -> Iterator[None]:
    """Within: `see` is told what each expert of a module adds to its output, weighted as the layer weights it.

    Experts are handed tokens, a choice of experts and weights; or, as Llama 4's, tokens already times their weights,
    all of them once for each expert: zeros where a token is not sent.

    Raises:
        UserError: these experts are handed something else.
    """
    routed = module.forward
    n_experts = next(len(each) for each in module.parameters() if each.dim() == 3)

    def forward(*args: Any, **kwargs: Any) -> Any:
        handed = [*args, *kwargs.values()]
        if len(handed) == 1 and one_each(handed[0]):
            added = routed(*args, **kwargs)
            for expert, (given, made) in enumerate(zip(by_expert(handed[0]), by_expert(added), strict=True)):
                see(expert, made[given.any(dim=-1)].float().norm(dim=-1))
            return added
        if len(handed) != 3 or handed[1].is_floating_point():
            raise UserError(
                f"{where}: {type(module).__name__} is not handed tokens, a choice of experts and weights, so that it "
                "cannot be said what each expert adds"
            )
        tokens, chosen, weights = handed
        for expert in chosen.unique().tolist():
            token, place = (chosen == expert).nonzero(as_tuple=True)
            alone = routed(tokens[token], chosen[token, place][:, None], weights[token, place][:, None])
            see(expert, alone.float().norm(dim=-1))
        return routed(*args, **kwargs)

    def by_expert(states: Tensor) -> Tensor:
        return states.view(n_experts, -1, states.shape[-1])

    def one_each(states: Tensor) -> bool:
        """Whether the first rows are the first expert's, and so on: then equal rows come out as different ones."""
        out = routed(states.new_ones(n_experts, states.shape[-1]))
        return not torch.equal(out[0], out[-1])

    try:
        module.forward = forward
        yield
    finally:
        del module.forward
