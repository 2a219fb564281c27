#!/usr/bin/env bash
# A private Neovim, Helix, Kate, or Emacs with lsp-mode, for the tests, unpacked from a newer Debian suite:
# the system is not touched.
# usage: install_from_debian.sh neovim|helix|emacs|kate DEST   -> DEST/bin/nvim, hx, emacs or kate
# (Neovim and Helix 10 s, 60 MB; Emacs 25 s, 360 MB; Kate 45 s, 310 MB; nothing to do when it is there)
set -euo pipefail
editor=$1
dest=$(mkdir -p "$2" && cd "$2" && pwd)
suite=${SUITE:-forky}
work=$dest/apt
root=$dest/root
case $editor in
  neovim) program=nvim packages=(neovim) file=nvim ;;
  helix) program=hx packages=(hx) file=hx ;;
  emacs) program=emacs packages=(emacs-nox elpa-lsp-mode) file=emacs-nox ;;
  kate) program=kate packages=(kate) file=kate ;;
  *) echo "usage: $0 neovim|helix|emacs|kate DEST" >&2 && exit 2 ;;
esac
[ -x "$dest/bin/$program" ] && "$dest/bin/$program" --version >/dev/null && exit 0

rm -rf "$work" "$root"
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
# What plays films and draws by the GPU, 450 MB for Kate, counts as installed.
unneeded='lib(av(codec|format|util)|sw(scale|resample))[0-9]+|lib(gbm1|(egl|glx)-mesa0|gl1-mesa-dri)'
unneeded+='|libpipewire-[0-9.-]+(t64)?'
for name in $(apt-cache "${options[@]}" pkgnames | grep -xE "$unneeded"); do
  printf 'Package: %s\nStatus: install ok installed\nArchitecture: amd64\nVersion: 99:0\n' "$name"
  printf 'Maintainer: nobody\nDescription: not installed\n\n'
done >>"$work/status"
apt-get "${options[@]}" -qq -y --no-install-recommends --download-only install "${packages[@]}"
for archive in "$work"/archives/*.deb; do
  dpkg-deb -x "$archive" "$root"
done

# The suite's libc is newer than the system's: its loader and library path are written into the
# program. (Called through its loader Neovim would take the loader for itself and not find its runtime
# files.) What the editor starts, such as the server, keeps to the system's.
if ! command -v patchelf >/dev/null; then
  apt-get -qq update
  apt-get install -qq -y --no-install-recommends patchelf
fi
libraries=$root/usr/lib/x86_64-linux-gnu
binary=$(readlink -f "$root/usr/bin/$file")
patchelf --set-interpreter "$libraries/ld-linux-x86-64.so.2" --force-rpath --set-rpath "$libraries" "$binary"

# Two libraries of Kate's look for theirs in the system, whatever the program says.
if [ "$editor" = kate ]; then
  ln -s "$libraries"/libproxy/*.so "$libraries"/pulseaudio/*.so "$libraries"
  for library in "$libraries"/lib{proxy,pulse}.so.? "$libraries"/{libproxy,pulseaudio}/*.so; do
    patchelf --remove-rpath "$library"
  done
  rm -rf "$root"/usr/share/{doc,locale,man}
fi

# These look for their files where the package would have put them.
variables=
arguments=
case $editor in
  helix) variables="HELIX_RUNTIME='$(dirname "$binary")/runtime'" ;;
  emacs)
    dump=$(echo "$root"/usr/libexec/emacs/*/*/*.pdmp)
    shared=$(echo "$root"/usr/share/emacs/[0-9]*)
    variables="EMACSLOADPATH='$shared/lisp' EMACSDATA='$shared/etc' EMACSPATH='$(dirname "$dump")'"
    arguments="--dump-file='$dump'"
    ;;
  kate)
    variables="QT_PLUGIN_PATH='$libraries/qt6/plugins' FONTCONFIG_SYSROOT='$root'"
    variables+=" QT_QPA_PLATFORM=offscreen"
    ;;
esac
printf '#!/bin/sh\nexec env %s %s %s "$@"\n' "$variables" "'$binary'" "$arguments" >"$dest/bin/$program"
chmod +x "$dest/bin/$program"
rm -rf "$work"
"$dest/bin/$program" --version | head -n 1
