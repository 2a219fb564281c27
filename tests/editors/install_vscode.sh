#!/usr/bin/env bash
# A private VS Code workbench for the tests: code-server with a Node.js of its own, from npm alone (no
# install script runs, nothing is compiled), and Debian's Chromium to show it in.
# usage: install_vscode.sh DEST   -> DEST/code-server     (half a minute, 800 MB; nothing to do when it is there)
set -euo pipefail
dest=$(mkdir -p "$1" && cd "$1" && pwd)
node=24.21.0
code_server=4.139.1

if ! command -v chromium >/dev/null; then
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "The tests of VS Code need chromium: install it (Debian: apt-get install chromium)." >&2
    exit 1
  fi
  apt-get -qq update
  DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
    chromium fonts-dejavu-core >/dev/null
fi

# The mark is written last: what was interrupted is installed again.
mark=$dest/installed-$code_server-$node
[ -e "$mark" ] && exit 0
if ! command -v npm >/dev/null; then
  echo "The tests of VS Code need npm: install it (Debian: apt-get install npm)." >&2
  exit 1
fi
case $(uname -m) in
  x86_64) platform=linux-x64 ;;
  aarch64) platform=linux-arm64 ;;
  *) echo "There is no code-server for $(uname -m)." >&2 && exit 1 ;;
esac

cd "$dest"
[ -e package.json ] || echo '{"private": true}' >package.json
options=(--ignore-scripts --no-audit --no-fund --loglevel=error)
npm install "${options[@]}" "node-$platform@$node" "code-server@$code_server"
PATH=$dest/node_modules/node-$platform/bin:$PATH
for folder in lib/vscode lib/vscode/extensions; do
  (cd "node_modules/code-server/$folder" && npm install --omit=dev "${options[@]}")
done
printf '#!/bin/sh\nexec %s %s "$@"\n' "$dest/node_modules/node-$platform/bin/node" \
  "$dest/node_modules/code-server/out/node/entry.js" >code-server
chmod +x code-server
ln -sfn "node_modules/node-$platform/bin" node-bin
./code-server --config "$dest/config.yaml" --version
touch "$mark"
