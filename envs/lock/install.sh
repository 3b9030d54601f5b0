#!/usr/bin/env bash
# Installs what the lock has into a Python's environment, digests compared: envs/lock/install.sh .venv/bin/python, and
# with the word `developers` after it the tools of `make test` and `make check` as well. The lock is complete, so that
# pip has nothing to resolve. A torch of the right release that is there already stays.
set -euo pipefail
python=$1
lock=$(dirname "$0")
add() { "$python" -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes --no-deps "$@"; }

# Which build is pip's choice, by the machine's index; asked for digests, it would take none that lies in a folder.
release=$(sed -n 's/^\(torch==[^ ]*\).*/\1/p' "$lock/torch.txt")
there="from importlib.metadata import version; assert 'torch==' + version('torch').split('+')[0] == '$release'"
if ! "$python" -c "$there" 2>/dev/null; then
    wheel=$(mktemp -d)
    trap 'rm -r "$wheel"' EXIT
    "$python" -m pip download --quiet --disable-pip-version-check --no-deps --dest "$wheel" "$release"
    add --no-index --find-links "$wheel" -r "$lock/torch.txt"
fi
add -r "$lock/users.txt"
if "$python" - <<'ASKS'; then add -r "$lock/cuda.txt"; fi
import sys
from importlib.metadata import requires
sys.exit(not any(line.startswith(("cuda-", "nvidia-")) for line in requires("torch")))
ASKS
if [ "${2-}" = developers ]; then add -r "$lock/developers.txt"; fi
# Twenty thousand files, which pip would compile one after another; that some are for other Pythons is no failure.
"$python" -m compileall -qq -j 4 "$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" || true
