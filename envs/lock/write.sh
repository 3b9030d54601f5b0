#!/usr/bin/env bash
# Writes the lock from pyproject.toml with uv. What is locked stays as it is unless asked otherwise: make lock
# LOCK="--upgrade-package numpy". torch.txt is written by hand: it has two builds of one release.
set -euo pipefail
cd "$(dirname "$0")/../.."

compile() { # from declarations to a file, without what other files have
    local file=$1
    shift
    uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-package torch \
        --custom-compile-command "make lock" --output-file "$file" "$@" pyproject.toml >/dev/null
}
without() { sed -E 's/^/--no-emit-package /' <<<"$1"; }
names() { sed -nE 's/^([a-z0-9._-]+)==.*/\1/p' "$1"; }

gpu=$(uv pip compile --quiet --universal --python-version 3.11 --no-header --extra cuda pyproject.toml |
    sed -nE 's/^((nvidia|cuda|triton)[a-z0-9-]*)==.*/\1/p')
compile envs/lock/users.txt --extra cpu --extra report --extra slurm $(without "$gpu") "$@"
users=$(names envs/lock/users.txt)
compile envs/lock/cuda.txt --extra cuda --constraint envs/lock/users.txt $(without "$users") "$@"
compile envs/lock/developers.txt --extra dev --extra docs --constraint envs/lock/users.txt \
    --constraint envs/lock/cuda.txt $(without "$users") "$@"
digest=$(cat envs/lock/*.txt | sha256sum | cut -c -16)
sed -i "s/^# Lock: .*/# Lock: $digest/" envs/polyprune.post-deploy.sh
