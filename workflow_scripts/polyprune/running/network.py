"""Who may use the network: stages that fetch. For all others the hub's libraries are switched off.

Compute nodes often have no network, and a job that quietly fetched would depend on the day it ran. So models and data
are fetched by a few stages, whose rules run where Snakemake runs.
"""

from __future__ import annotations

OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
"""Environment of all other stages. The libraries read it when they are imported, so it must be there before."""
_WITH_OTHER_NAMES = ("convert_model", "register_checkpoint")
"""What these convert and register may be of the hub."""


def may_fetch(stage: str) -> bool:
    """Whether a stage, by its name, is one that fetches."""
    return stage.startswith("fetch_") or stage in _WITH_OTHER_NAMES
