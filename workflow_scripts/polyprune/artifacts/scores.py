"""Scores of one variant: `perplexity.parquet`, `drift.parquet`; long and tidy, a row a value. Schema `scores/4`.

model, method, scheme, calibration   string        `dense` three times for the uncompressed model
seed                                 int32         null for the uncompressed model
corpus                               string
metric                               string   perplexity, bits_per_byte, nll, kl, top1_agreement, pruning_error, snr;
                                              special_targets: predicted tokens that are special, and so no target;
                                              pruning_error_robust, snr_robust: without tokens of massive norm
                                              (DRIFT-3); massive_tokens: how many these are
eval_language                        string
layer                                string        "1" … "L_normed", or "mean" over layers; null where there is none
value                                double
unit                                 string
n                                    int64         tokens that the value is taken over; of a robust mean over layers,
                                              those of the layer that has fewest

Header: variant and languages; `text`, how documents are framed (`model/tokenizer.py`); `model_digest`, `data` (digest
of the text by language) and `cell` of the dumps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from polyprune.artifacts.tables import save_table

SCHEMA = "scores/4"
COLUMNS = pa.schema(
    [
        *((name, pa.string()) for name in ("model", "method", "scheme", "calibration")),
        ("seed", pa.int32()),
        *((name, pa.string()) for name in ("corpus", "metric", "eval_language", "layer")),
        ("value", pa.float64()),
        ("unit", pa.string()),
        ("n", pa.int64()),
    ]
)


def save_scores(path: Path, rows: Sequence[Mapping[str, Any]], about: Mapping[str, Any]) -> None:
    """Write rows, which have every column but may leave out `layer` and `seed`."""
    save_table(path, SCHEMA, pa.Table.from_pylist(list(rows), schema=COLUMNS), about)
