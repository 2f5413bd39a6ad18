#!/usr/bin/env bash
# Run every test: Rust's, with the multi-rank cases among them, and Python's. The last line
# sums all of them; it is also left in out/test/summary.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/flavour.sh

logs=out/test
mkdir -p "$logs"
rm -f "$logs"/*

# Each runner goes on after a failure of another, and leaves its log and exit code.
run() {
    local name=$1 code=0
    shift
    "$@" 2>&1 | tee "$logs/$name.log" || code=$?
    echo "$code" >"$logs/$name.code"
}

run cargo cargo test --workspace --no-fail-fast --color never
# What differs with threads is in core alone.
run threads cargo test -p dolmen-core -p dolmen-core-tests --features threads --lib --test threads --color never
run pytest out/venv/bin/python -m pytest -q --color=no tests/python

scripts/count-tests.sh "$logs" | tee "$logs/summary"
