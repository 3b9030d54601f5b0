#!/usr/bin/env bash
# Installs what the lock has into a Python's environment, hashes compared: envs/lock/install.sh .venv/bin/python, and
# with the word `developers` after it the tools of `make test` and `make check` as well. A torch of the right release
# that is there already stays. The lock is complete, so that pip has nothing to resolve.
set -euo pipefail
python=$1
lock=$(dirname "$0")
add() { "$python" -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps "$@"; }

add -r "$lock/torch.txt"
add -r "$lock/users.txt"
if "$python" - <<'ASKS'
import sys
from importlib.metadata import requires
sys.exit(not any(line.startswith(("cuda-", "nvidia-")) for line in requires("torch")))
ASKS
then add -r "$lock/cuda.txt"; fi
if [ "${2-}" = developers ]; then add -r "$lock/developers.txt"; fi
