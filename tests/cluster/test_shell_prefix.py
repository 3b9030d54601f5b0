"""What every job's shell does first."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from polyprune.cluster.site import shell_prefix

TITLE = "Über 语"


@pytest.mark.parametrize("locale", ["C", "en_US.ISO-8859-1", "C.UTF-8"])
def test_a_job_gets_its_arguments_as_utf_8_whatever_the_locale(locale: str, tmp_path: Path) -> None:
    code = "import sys; open(sys.argv[1], 'w').write(ascii(sys.argv[1]))"
    command = shell_prefix(Path("/packages"), Path(sys.executable).parent, []).format()
    command += shlex.join(["python", "-c", code, TITLE])
    plain = {"LC_ALL": locale, "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "PATH": "/usr/bin:/bin"}
    subprocess.run(["bash", "-c", command], cwd=tmp_path, env=plain, check=True)
    (written,) = tmp_path.iterdir()
    assert written.name == TITLE and written.read_text(encoding="utf-8") == ascii(TITLE)


@pytest.mark.parametrize("name", ["with space, comma", "br{a}ce", 'it\'s "q"', "$HOME;x`id`", "glob*[x]", "Über 语"])
@pytest.mark.parametrize("before", [{}, {"PYTHONPATH": "/before"}])
def test_python_and_packages_are_found_whatever_their_folders_are_called(
    name: str, before: dict[str, str], tmp_path: Path
) -> None:
    packages, programs = tmp_path / name / "packages", tmp_path / name / "programs"
    programs.mkdir(parents=True)
    (programs / "python").symlink_to("/bin/sh")
    command = shell_prefix(packages, programs, []).format() + "python -c 'echo \"$PYTHONPATH\"'"
    plain = before | {"LC_ALL": "C.UTF-8", "PATH": "/nowhere"}
    said = subprocess.run(["/bin/bash", "-c", command], env=plain, check=True, capture_output=True, text=True).stdout
    assert said.rstrip("\n") == ":".join([str(packages), *before.values()])
