#!/bin/sh
# Puts Deno (whose QUIC is quinn, as in the Rust SDK) into a folder and prints the path of its binary. Who asks while
# another installs it waits for that one.
# Usage: install-deno.sh [folder]   default: artifacts/deno of this repository
set -eu
folder=${1:-$(cd "$(dirname "$0")/../.." && pwd)/artifacts/deno}
binary=$folder/deno
mkdir -p "$folder"
exec 9> "$folder/lock"
flock 9
if [ ! -e "$binary" ]; then
    npm install --prefix "$folder" --no-audit --no-fund --silent deno@2.9.6 >&2
    # An install that was interrupted leaves no binary: the rename makes it there whole or not at all.
    mv "$folder/node_modules/deno/deno" "$binary"
    rm -r "$folder/node_modules"
fi
"$binary" --version >&2
echo "$binary"
