"""What is measured inside models, as long tables: parquet, a row a value. All begin with columns that name a variant:

model, method, scheme, calibration   string   `dense` three times for the uncompressed model
seed                                 int32    null for the uncompressed model, and where several seeds are compared

`mask_iou/{grid}.parquet`   overlap of masks, by matrix
    layer        int32    decoder layer, from 0 as in the paper's figure 2
    matrix       string   q, k, v, attn.out, ffn.gate, ffn.up, ffn.down; other models' matrices by their own names
    comparison   string   seeds (IOU-1), stable (IOU-2), pairs (IOU-3)
    value, chance   double   intersection over union, and of random masks of the same sparsity (IOU-4)
    n            int64    weights of the matrix
  `calibration` is one language, or the two that are compared, as `de-en`.

`lsar.parquet`   how far prompt embeddings move, by layer
    layer, eval_language   string   "1" … "L", "L_normed"
    metric       string   token_shift, prompt_shift, agnostic_shift, specific_shift: means of norms (LSAR-3);
                          …_of_mean: norm of the mean difference
    projector    string   per_model, dense, pooled, cross_fitted, random; null where there is no subspace
    rank         int32    of the subspace; null likewise
    value        double
    n            int64    prompts; tokens for token_shift

`lape.parquet`   neurons in groups by their LAPE in the dense model, by layer and pooled
    layer        string   "0" … , or "all"
    series       string   full: all tokens; half: grouped by the dense model on half of the text, measured on the rest
    group        int32    0 has the lowest LAPE; null for numbers about the whole layer
    statistic    string   lape_whisker_low … lape_whisker_high; p and |output| (means over the group's neurons);
                          p_max, output_mean (over languages); n_never_active
    eval_language   string   null where languages are not apart
    value        double
    n            int64    neurons

`mean_activations/{corpus}/{language}.parquet`   outputs of linear layers, by channel, dense and compressed
    layer        int32    decoder layer, from 1 as in the paper's figures 11 to 13
    matrix       string   down_proj, o_proj
    channel      int32
    dense, pruned, dense_magnitude, pruned_magnitude   double   mean and mean absolute value over tokens
    n            int64    tokens
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from polyprune.artifacts.tables import open_table, save_table

_VARIANT = [*((name, pa.string()) for name in ("model", "method", "scheme", "calibration")), ("seed", pa.int32())]
MASK_IOU = pa.schema(
    [
        *_VARIANT,
        ("layer", pa.int32()),
        ("matrix", pa.string()),
        ("comparison", pa.string()),
        ("value", pa.float64()),
        ("chance", pa.float64()),
        ("n", pa.int64()),
    ]
)
LSAR = pa.schema(
    [
        *_VARIANT,
        *((name, pa.string()) for name in ("layer", "eval_language", "metric", "projector")),
        ("rank", pa.int32()),
        ("value", pa.float64()),
        ("n", pa.int64()),
    ]
)
LAPE = pa.schema(
    [
        *_VARIANT,
        *((name, pa.string()) for name in ("layer", "series")),
        ("group", pa.int32()),
        *((name, pa.string()) for name in ("statistic", "eval_language")),
        ("value", pa.float64()),
        ("n", pa.int64()),
    ]
)
MEAN_ACTIVATIONS = pa.schema(
    [
        *_VARIANT,
        ("layer", pa.int32()),
        ("matrix", pa.string()),
        ("channel", pa.int32()),
        *((name, pa.float64()) for name in ("dense", "pruned", "dense_magnitude", "pruned_magnitude")),
        ("n", pa.int64()),
    ]
)


def save_measurements(
    path: Path, rows: Sequence[Mapping[str, Any]], schema: pa.Schema, provenance: Mapping[str, Any]
) -> None:
    """Write rows; columns they leave out are null."""
    save_table(path, pa.Table.from_pylist(list(rows), schema=schema), provenance)


def load_measurements(files: Sequence[Path]) -> pd.DataFrame:
    """The rows of several files of one layout; integers that may be null are pandas' nullable ones."""
    table = pa.concat_tables(open_table(file).read().replace_schema_metadata(None) for file in files)
    return table.to_pandas(types_mapper={pa.int32(): pd.Int32Dtype(), pa.int64(): pd.Int64Dtype()}.get)


def save_frame(path: Path, frame: pd.DataFrame, provenance: Mapping[str, Any]) -> None:
    """Write the tidy numbers behind a table or figure."""
    table = pa.Table.from_pandas(frame, preserve_index=False)
    save_table(path, table, provenance)
