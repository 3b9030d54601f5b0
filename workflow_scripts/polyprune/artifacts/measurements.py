"""What is measured inside models, as long tables: parquet, a row a value. All begin with columns that name a variant:

model, method, scheme, calibration   string   `dense` three times for the uncompressed model
seed                                 int32    null for the uncompressed model, and where several seeds are compared

`mask_iou/{grid}.parquet`   overlap of masks, by matrix
    layer        int32    decoder layer, from 0 as in the paper's figure 2
    matrix       string   q, k, v, attn.out, ffn.gate, ffn.up, ffn.down; other models' matrices by their own names
    comparison   string   seeds (IOU-1), stable (IOU-2), pairs (IOU-3)
    value, chance   double   intersection over union, and of random masks of the same sparsity (IOU-4)
    n            int64    weights of the matrix
    n_seeds      int32    whose masks are compared, of each calibration
  `calibration` is one language, or the two that are compared, as `de-en`.

`mask_agreement/{grid}.parquet`   masks of checkpoints beside those computed here, by matrix; variants are the former's
    seed_here    int32    of the cell computed here, of the same model, method, scheme and calibration
    layer        int32    from 0
    matrix       string   name in the layer
    value        double   share of the weights that both keep or both remove
    n            int64    weights

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

`routing.parquet`   where the routers of a mixture of experts send tokens
    layer        int32    decoder layer, from 0; only those that have experts
    expert       int32    from 0, as the dense model counts them
    eval_language   string
    value        double   share of the choices of the language's tokens (ROUTE-1)
    n            int64    choices: tokens times the experts that each is sent to
    removed      bool     the cell has this expert no more

`activation_ranges.parquet`   how inputs of a dense model's matrices range (RANGE-1), and whose features are salient
    layer        int32    decoder layer, from 0
    matrix       string   those that read the input, as in mask_iou: `q k v`; experts of a mixture all together
    eval_language, other_language   string   the latter null but for salient_overlap
    metric       string   lowest, highest: of all features; median_range: of the feature in the middle;
                          salient_overlap: of the salient features of two languages (RANGE-3)
    value        double
    n            int64    tokens; for salient_overlap salient features of a language
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from polyprune.artifacts.tables import header_of, open_table, require_same_sources, require_variants, save_table


@dataclass(frozen=True)
class Layout:
    """A kind of table: the schema that its header names, and its columns."""

    schema: str
    fields: Sequence[tuple[str, pa.DataType]]

    @property
    def columns(self) -> pa.Schema:
        return pa.schema(self.fields)


TABLE, FRAME = "table/3", "numbers/2"
"""Schemas of a table of scores (`report/tables/rows.py`), and of other numbers behind a table or a figure."""
_VARIANT = [*((name, pa.string()) for name in ("model", "method", "scheme", "calibration")), ("seed", pa.int32())]
WHOLE_EXPERTS = "experts"
"""In the place of a matrix: a mask of a layer's experts, not of weights."""
MASK_IOU = Layout(
    "mask_iou/3",
    [
        *_VARIANT,
        ("layer", pa.int32()),
        ("matrix", pa.string()),
        ("comparison", pa.string()),
        ("value", pa.float64()),
        ("chance", pa.float64()),
        ("n", pa.int64()),
        ("n_seeds", pa.int32()),
    ],
)
MASK_AGREEMENT = Layout(
    "mask_agreement/1",
    [
        *_VARIANT,
        ("seed_here", pa.int32()),
        ("layer", pa.int32()),
        ("matrix", pa.string()),
        ("value", pa.float64()),
        ("n", pa.int64()),
    ],
)
LSAR = Layout(
    "lsar/2",
    [
        *_VARIANT,
        *((name, pa.string()) for name in ("layer", "eval_language", "metric", "projector")),
        ("rank", pa.int32()),
        ("value", pa.float64()),
        ("n", pa.int64()),
    ],
)
LAPE = Layout(
    "lape/2",
    [
        *_VARIANT,
        *((name, pa.string()) for name in ("layer", "series")),
        ("group", pa.int32()),
        *((name, pa.string()) for name in ("statistic", "eval_language")),
        ("value", pa.float64()),
        ("n", pa.int64()),
    ],
)
MEAN_ACTIVATIONS = Layout(
    "mean_activations/2",
    [
        *_VARIANT,
        ("layer", pa.int32()),
        ("matrix", pa.string()),
        ("channel", pa.int32()),
        *((name, pa.float64()) for name in ("dense", "pruned", "dense_magnitude", "pruned_magnitude")),
        ("n", pa.int64()),
    ],
)
ROUTING = Layout(
    "routing/1",
    [
        *_VARIANT,
        ("layer", pa.int32()),
        ("expert", pa.int32()),
        ("eval_language", pa.string()),
        ("value", pa.float64()),
        ("n", pa.int64()),
        ("removed", pa.bool_()),
    ],
)
ACTIVATION_RANGES = Layout(
    "activation_ranges/1",
    [
        *_VARIANT,
        ("layer", pa.int32()),
        *((name, pa.string()) for name in ("matrix", "eval_language", "other_language", "metric")),
        ("value", pa.float64()),
        ("n", pa.int64()),
    ],
)
OF_VARIANTS = (MASK_IOU, MASK_AGREEMENT, LSAR, LAPE, MEAN_ACTIVATIONS, ROUTING, ACTIVATION_RANGES)
"""All of them: each row names its variant."""


def save_measurements(path: Path, rows: Sequence[Mapping[str, Any]], layout: Layout, about: Mapping[str, Any]) -> None:
    """Write rows; columns they leave out are null."""
    save_table(path, layout.schema, pa.Table.from_pylist(list(rows), schema=layout.columns), about)


def load_measurements(files: Sequence[Path], layout: Layout) -> pd.DataFrame:
    """The rows of several files of one layout; integers that may be null are pandas' nullable ones.

    Raises:
        UserError: a file is missing, damaged or of another kind, or it has rows of a variant that its header does not
            name, or files of one model were made from different weights or texts.
    """
    tables, headers = [], {}
    for path in files:
        with open_table(path, layout.schema) as file:
            table, header = file.read(), header_of(file)
        require_variants(path, table, header)
        tables.append(table.replace_schema_metadata(None))
        headers[path] = header
    require_same_sources(headers)
    table = pa.concat_tables(tables)
    return table.to_pandas(types_mapper={pa.int32(): pd.Int32Dtype(), pa.int64(): pd.Int64Dtype()}.get)


def save_frame(path: Path, frame: pd.DataFrame, about: Mapping[str, Any]) -> None:
    """Write the tidy numbers behind a table or figure."""
    save_table(path, FRAME, pa.Table.from_pandas(frame, preserve_index=False), about)
