#!/bin/sh
# Chromium for the tests of pages: there already, or installed if that is ours to do; else says what to type.
set -eu
for command in chromium chromium-browser google-chrome; do
    if command -v $command >/dev/null; then exit 0; fi
done
install="apt-get install --yes --no-install-recommends chromium"
if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update --quiet && $install --quiet && exit 0
    echo "NO CHROMIUM: it could not be installed; pages are not looked at" >&2
    exit 3
else
    echo "NO CHROMIUM: pages are not looked at. On Debian or Ubuntu, type: sudo apt-get update && sudo $install" >&2
    exit 3
fi
