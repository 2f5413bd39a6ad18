#!/usr/bin/env bash
# Build and run a crate outside the workspace that depends on dolmen, as users write it (tests/dependent); build
# dolmen without default features; look at what would be published.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/flavour.sh
. scripts/python.sh

# The same versions in the same folder, so that only what differs is compiled.
export CARGO_TARGET_DIR=$target_dir
cp Cargo.lock tests/dependent/Cargo.lock
cargo build --quiet --manifest-path tests/dependent/Cargo.toml
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
launch=$PWD/scripts/mpirun.sh program=$target_dir/debug/stones
(cd "$folder" && "$launch" -n 3 "$program") | tee "$folder/printed"
grep -q "converged: the true residual meets the tolerance" "$folder/printed"

for features in "" hdf5 fits; do
    cargo check --quiet -p dolmen --no-default-features --features "$features"
done
published=$(cargo metadata --no-deps --format-version 1 | "$python" -c '
import json, sys
packages = json.load(sys.stdin)["packages"]
print(*("--package=" + package["name"] for package in packages if package["publish"] is None))')
# shellcheck disable=SC2086 # one word for each package
cargo package --quiet --no-verify --allow-dirty $published
echo "dependent: ok"
