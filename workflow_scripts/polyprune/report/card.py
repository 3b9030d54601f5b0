"""The model card of an exported model: what was done to it, and on which text.

What that did to it is no part of the card: scores may be made before the export or after it, and the same cell has the
same card. It says where they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from polyprune.grammar.calibrations import parse_calibration
from polyprune.grammar.titles import calibration_title

_LAYOUTS = {
    "awq": "AutoAWQ (gemm)",
    "compressed-tensors": "compressed-tensors (pack-quantized)",
    "gptq": "AutoGPTQ and GPTQModel (gptq)",
}
_SCORES = ("perplexity.parquet", "drift.parquet", "evaluation/")
"""What there may be in the folder of the cell."""


def model_card(
    cell: Mapping[str, Any],
    title: str,
    source: Mapping[str, Any],
    layout: str | None = None,
    perplexities: Sequence[Mapping[str, float]] = (),
) -> str:
    """README.md from a cell's metadata, the model's name in print, and its source in config.yaml.

    `layout` of a packed one; `perplexities` by language: the compressed model's and the dense one's.
    """
    place = "/".join([*map(str, (cell["method"], cell["scheme"], cell["calibration"])), f"seed{cell['seed']}"])
    asked = parse_calibration(str(cell["calibration"]))
    languages = list(dict.fromkeys(asked.languages))
    base = [f"base_model: {source['id']}"] if source.get("id") else []
    header = ["---", *base, "library_name: transformers", "language:", *(f"- {code}" for code in languages)]
    settings = ", ".join(f"{name} {value}" for name, value in _flat(cell.get("compression", {})).items()) or "none"
    licence = f" The licence of the dense model holds: {source['gated']}." if source.get("gated") else ""
    return "\n".join(
        [
            *header,
            "tags:",
            f"- {cell['method']}",
            "---",
            f"# {title}, {cell['method']} {cell['scheme']}, calibrated on {calibration_title(asked.text)}",
            "",
            f"{_what_it_is(cell, layout)}{licence}",
            *_quantised(source),
            "",
            "| | |",
            "|---|---|",
            f"| method | {cell['method']} |",
            f"| scheme | {cell['scheme']} |",
            f"| settings | {settings} |",
            f"| calibration | {asked.text} |",
            f"| calibration languages | {', '.join(languages)} |",
            f"| seed | {cell['seed']} |",
            *([f"| revision of the dense model | {source['revision']} |"] if source.get("revision") else []),
            f"| digest of the dense model | {cell['model_digest']} |",
            *_origin(cell),
            f"| digest of the code | {cell['code']} |",
            "",
            *_scores(perplexities),
            f"Its scores are in `{place}/`: {', '.join(_SCORES)}, as far as they were made.",
            "",
            "```python",
            "from transformers import AutoModelForCausalLM, AutoTokenizer",
            'model = AutoModelForCausalLM.from_pretrained("this folder")',
            'tokenizer = AutoTokenizer.from_pretrained("this folder")',
            "```",
            "",
        ]
    )


def _scores(perplexities: Sequence[Mapping[str, float]]) -> list[str]:
    if not perplexities:
        return []
    compressed, dense = perplexities
    rows = [f"| {language} | {value:.2f} | {dense[language]:.2f} |" for language, value in sorted(compressed.items())]
    return ["| perplexity | this model | dense |", "|---|---:|---:|", *rows, ""]


def _what_it_is(cell: Mapping[str, Any], layout: str | None) -> str:
    if layout is not None:
        scales = "" if layout == "compressed-tensors" else " Scales are rounded to float16."
        return (
            f"A quantised model, packed in the layout of {_LAYOUTS[layout]}: codes, scales and zero points.{scales} "
            "Readers say which of these they have kernels for."
        )
    if cell.get("unit") == "experts":
        return (
            "A mixture of experts with fewer of them: those that stay are numbered anew, in their order. It loads "
            "wherever the dense model does, and is smaller."
        )
    return (
        "A compressed model written out as plain dense weights: it loads wherever the dense model does, and is neither "
        "smaller nor faster."
    )


def _origin(cell: Mapping[str, Any]) -> list[str]:
    """Rows on what the cell was calibrated on, or on the checkpoint that it was read from."""
    if checkpoint := cell.get("checkpoint"):
        place = checkpoint["source"].get("id", "a folder")
        return [
            f"| read from | a checkpoint of others, {place} |",
            f"| digest of the checkpoint | {checkpoint['digest']} |",
        ]
    return [f"| digest of the calibration text | {cell['calibration_digest']} |"]


def _quantised(source: Mapping[str, Any]) -> list[str]:
    """What is to be said of a dense model that came out of a GGUF file; `quantised` is its manifest's."""
    if not (types := source.get("quantised")):
        return []
    counts = ", ".join(f"{count} of its matrices as {kind}" for kind, count in types.items())
    return [
        "",
        f"The dense model was quantised before, in a GGUF file ({counts}), and its weights were read from there.",
    ]


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        inner = value if isinstance(value, Mapping) else None
        flat |= {name: value} if inner is None else {f"{name}.{key}": entry for key, entry in inner.items()}
    return flat
