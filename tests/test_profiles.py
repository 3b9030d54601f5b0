"""Profiles find the package wherever Snakemake is started."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.helpers.checkout import ROOT

READ = """
import sys, yte
sys.argv = ["snakemake", "-n", *{words}]
with open({file!r}, encoding="utf-8") as stream:
    yte.process_yaml(stream, require_use_yte=True)
print(sys.modules["polyprune"].__file__)
"""


@pytest.mark.parametrize("name", ["local", "slurm"])
def test_a_profile_finds_the_package_from_any_folder(name: str, tmp_path: Path) -> None:
    """By its path from elsewhere, also through a folder with a space in its name; by its name from the repository."""
    (tmp_path / "a clone").symlink_to(ROOT)
    clone = tmp_path / "a clone"
    elsewhere = ["--profile", str(clone / name), "--snakefile", str(clone / "Snakefile")]
    for cwd, words in ((tmp_path, elsewhere), (ROOT, ["--profile", name]), (ROOT, [])):
        code = READ.format(words=words, file=str(ROOT / name / "profile.yaml"))
        run = subprocess.run([sys.executable, "-c", code], cwd=cwd, env={}, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        assert Path(run.stdout.strip()).samefile(ROOT / "workflow_scripts/polyprune/__init__.py")
