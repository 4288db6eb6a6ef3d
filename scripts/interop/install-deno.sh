#!/bin/sh
# Puts Deno (whose QUIC is quinn, as in the Rust SDK) into a folder and prints the path of its binary.
# Usage: install-deno.sh [folder]   default: artifacts/deno of this repository
set -eu
folder=${1:-$(cd "$(dirname "$0")/../.." && pwd)/artifacts/deno}
binary=$folder/node_modules/.bin/deno
if [ ! -e "$binary" ]; then
    mkdir -p "$folder"
    npm install --prefix "$folder" --no-audit --no-fund --silent deno@2.9.6 >&2
fi
"$binary" --version >&2
echo "$binary"
