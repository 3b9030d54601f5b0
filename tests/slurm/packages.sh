#!/bin/sh
# Slurm for `make test-slurm`: there already, or installed if that is ours to do; else says what to type.
set -eu
PATH="$PATH:/usr/sbin:/sbin"
for command in slurmctld slurmd munged sbatch slurmdbd mariadbd; do
    command -v $command >/dev/null || missing="${missing:-} $command"
done
[ -n "${missing:-}" ] || exit 0
install="apt-get install --yes --no-install-recommends slurmctld slurmd slurm-client munge"
install="$install slurmdbd mariadb-server-core mariadb-client-core"
if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update --quiet && $install --quiet && exit 0
    echo "no tests on Slurm:$missing could not be installed" >&2
    exit 3
else
    echo "no tests on Slurm: no$missing here. On Debian or Ubuntu, type: sudo apt-get update && sudo $install" >&2
    exit 3
fi
