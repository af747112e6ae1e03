#!/bin/sh
# Runs startup-guard as a hook of pre-commit, which has cloned this repository. The first run installs the release of the
# same version into the clone.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
folder=$top/target/hook
if [ ! -x "$folder/startup-guard" ]; then
    version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$top/Cargo.toml")
    PATH=$folder:$PATH sh "$top/install.sh" --version "$version" --to "$folder" >&2
fi
exec "$folder/startup-guard" "$@"
