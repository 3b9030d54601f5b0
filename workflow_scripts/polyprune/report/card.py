"""The model card of an exported model: what was done to it, on which text, and what that did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from polyprune.artifacts.scores import SCHEMA
from polyprune.artifacts.tables import open_table

_NUMBERS = {
    "perplexity": ("perplexity", None, "{:.3f}"),
    "snr": ("SNR (dB)", "mean", "{:.2f}"),
    "pruning_error": ("pruning error", "mean", "{:.3e}"),
}
"""Metric: its heading, the layer it is taken from, its format."""


def model_card(cell: Mapping[str, Any], title: str, source: Mapping[str, Any], scores: Sequence[Path]) -> str:
    """README.md from a cell's metadata, the model's name in print and source, and what score files there are."""
    languages = str(cell["calibration"]).split("-")
    base = [f"base_model: {source['id']}"] if source["kind"] == "hub" else []
    header = ["---", *base, "library_name: transformers", "language:", *(f"- {code}" for code in languages)]
    settings = ", ".join(f"{name} {value}" for name, value in _flat(cell.get("compression", {})).items()) or "none"
    licence = f" The licence of the dense model holds: {source['gated']}." if source.get("gated") else ""
    return "\n".join(
        [
            *header,
            "tags:",
            f"- {cell['method']}",
            "---",
            f"# {title}, {cell['method']} {cell['scheme']}, calibrated in {', '.join(languages)}",
            "",
            "A compressed model written out as plain dense weights: it loads wherever the dense model does, and is "
            f"neither smaller nor faster.{licence}",
            "",
            "| | |",
            "|---|---|",
            f"| method | {cell['method']} |",
            f"| scheme | {cell['scheme']} |",
            f"| settings | {settings} |",
            f"| calibration languages | {', '.join(languages)} |",
            f"| seed | {cell['seed']} |",
            f"| digest of the dense model | {cell['model_digest']} |",
            f"| digest of the calibration text | {cell['calibration_digest']} |",
            f"| digest of the code | {cell['code']} |",
            "",
            *_metrics(scores),
            "```python",
            "from transformers import AutoModelForCausalLM, AutoTokenizer",
            'model = AutoModelForCausalLM.from_pretrained("this folder")',
            'tokenizer = AutoTokenizer.from_pretrained("this folder")',
            "```",
            "",
        ]
    )


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        inner = value if isinstance(value, Mapping) else None
        flat |= {name: value} if inner is None else {f"{name}.{key}": entry for key, entry in inner.items()}
    return flat


def _metrics(scores: Sequence[Path]) -> list[str]:
    """A table with a row per evaluation language; nothing if there are no scores."""
    found: dict[str, dict[str, float]] = {}
    for row in (row for path in scores for row in open_table(path, SCHEMA).read().to_pylist()):
        if row["metric"] in _NUMBERS and row["layer"] == _NUMBERS[row["metric"]][1]:
            found.setdefault(row["eval_language"], {})[row["metric"]] = row["value"]
    if not found:
        return ["Not evaluated yet.", ""]
    metrics = [name for name in _NUMBERS if any(name in values for values in found.values())]
    lines = ["| text | " + " | ".join(_NUMBERS[name][0] for name in metrics) + " |", "|---" * (len(metrics) + 1) + "|"]
    for language, values in sorted(found.items()):
        cells = [_NUMBERS[name][2].format(values[name]) if name in values else "" for name in metrics]
        lines.append(f"| {language} | " + " | ".join(cells) + " |")
    return [*lines, ""]
