#!/bin/sh
# Runs startup-guard as a hook of pre-commit, which has cloned this repository. The first run installs the release of the
# same version into the clone.
set -eu
top=$(CDPATH='' cd "$(dirname "$0")/.." && pwd)
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$top/Cargo.toml")
folder=$top/target/hook/$version
if [ ! -x "$folder/startup-guard" ]; then
    PATH=$folder:$PATH sh "$top/install.sh" --version "$version" --to "$folder" >&2
fi
exec "$folder/startup-guard" "$@"
