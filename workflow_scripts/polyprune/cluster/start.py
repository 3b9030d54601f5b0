"""Before the first job is submitted: whether Slurm has what the user's file names."""

from __future__ import annotations

import getpass
import re
import subprocess
from collections.abc import Collection
from pathlib import Path

from polyprune.cluster.site import Cluster
from polyprune.errors import UserError

_NO_FEATURE = re.compile(r"\*\d+|[^\w.-]+")
"""In a constraint what is not a node feature: counts, operators, brackets."""


def require_cluster(cluster: Cluster, file: Path, template: bool) -> str:
    """Refuse `file`, which says `cluster`, where Slurm lacks what it names; `template` is the one nobody has adapted.

    Where Slurm does not answer, `queued_jobs` says so. Where it keeps no accounts, none is compared.

    Returns:
        a sentence about the account.

    Raises:
        UserError: what is there instead, and what to do.
    """
    nodes = [line.split("|") for line in _ask("sinfo", "--all", "--noheader", "--format=%R|%G|%f")]
    adapt = (
        "it is the template: mkdir -p ~/.config/polyprune && cp slurm/partitions.yaml ~/.config/polyprune/, and say in "
        "the copy what your partitions allow"
        if template
        else "correct it"
    )
    types = {found for _, gres, _ in nodes for found in re.findall(r"gpu:([A-Za-z]\w*)", gres)}
    features = {feature for *_, listed in nodes for feature in listed.split(",") if feature != "(null)"}
    asked = set(_NO_FEATURE.sub(" ", cluster.constraint or "").split())
    _require("partitions", cluster.partitions, {partition for partition, *_ in nodes}, file, adapt)
    _require("a gpu_model", [cluster.gpu_model or ""], types, file, adapt)
    _require("a constraint", asked, features, file, adapt)
    words = ("show", "assoc", f"user={getpass.getuser()}", "format=account,qos")
    accounts = [line.split("|") for line in _ask("sacctmgr", "--noheader", "--parsable2", *words)]
    _require("an account", [cluster.account or ""], {account for account, _ in accounts}, file, adapt)
    yours = [qos for account, qos in accounts if cluster.account in (None, account)]
    _require("a qos", [cluster.qos or ""], {name for qos in yours for name in qos.split(",") if name}, file, adapt)
    if cluster.account:
        return f"All jobs go to Slurm's account {cluster.account}, which {file} names."
    return f"No account is named in {file}: jobs go to the one that Slurm takes for you."


def _ask(*command: str) -> list[str]:
    """Lines of the answer of a command of Slurm's; none if it does not answer or is not here."""
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        return []
    return [] if done.returncode else done.stdout.split("\n")[:-1]


def _require(what: str, named: Collection[str], there: set[str], file: Path, adapt: str) -> None:
    """Nothing is refused where nothing is known to be there."""
    lacking = sorted({*named} - there - {""})
    if there and lacking:
        raise UserError(
            f"{file} names {what} that this cluster does not have ({', '.join(lacking)}; there are "
            f"{', '.join(sorted(there))}): {adapt} (docs/cluster.md)"
        )
