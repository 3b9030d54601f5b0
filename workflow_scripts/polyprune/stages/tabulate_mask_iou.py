"""The paper's tables 16 and 17 of any study: overlap of masks, mean over layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from polyprune.artifacts.atomic import atomic_write
from polyprune.artifacts.measurements import MASK_IOU, load_measurements, save_frame
from polyprune.log import logger
from polyprune.report.tables.mask_iou import load_paper_iou, render_iou, save_iou_picture, table_rows


def tabulate_mask_iou(
    measurements: list[Path],
    paper: list[Path],
    title: str,
    titles: dict[str, str],
    compares: Literal["seeds", "languages"],
    output: Path,
    markdown: Path,
    picture: Path,
    provenance: dict[str, Any],
) -> None:
    """Write the long table, its printed form and its picture (`report/mask_iou.py`)."""
    rows = table_rows(load_measurements(measurements, MASK_IOU), compares, load_paper_iou(paper))
    for metric, frame in rows.groupby("metric", sort=False):
        logger.info("%s: %.3f (mean of %d)", metric, frame["value"].mean(), len(frame))
    save_frame(output, rows, provenance)
    with atomic_write(markdown) as part:
        part.write_text(render_iou(rows, title, titles), encoding="utf-8")
    save_iou_picture(picture, rows, title, titles)
