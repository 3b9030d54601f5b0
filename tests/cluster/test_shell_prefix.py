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
