#!/usr/bin/env bash
# Run by Snakemake in the environment of polyprune.yaml. The digest makes Snakemake see that the lock has changed.
# Lock: 9a4fa65bd631b34c
set -euo pipefail
"$POLYPRUNE_LOCK/install.sh" python
