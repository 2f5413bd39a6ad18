#!/usr/bin/env bash
# Run every test: Rust's, with the multi-rank cases among them, and Python's. The last line
# sums all of them; it is also left in out/test/summary.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/flavour.sh
. scripts/python.sh

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

# Tests that start a program for every check wait most of the time: they run beside each other and all others, and so
# does Python.
programs=(dolmen mapmaker faults disagreements)
others=$(cargo metadata --no-deps --format-version 1 | "$python" -c '
import json, sys
targets = [target for package in json.load(sys.stdin)["packages"] for target in package["targets"]]
tests = [t["name"] for t in targets if "test" in t["kind"] and not t.get("required-features")]
print(*(f"--test={name}" for name in tests if name not in sys.argv[1:]))' "${programs[@]}")
tests() { cargo test --workspace --no-fail-fast --color never "$@"; }

# Built first, and whole: what programs a test starts depends on nothing that runs beside it.
if ! tests --no-run || ! cargo build --quiet --workspace --bin dolmen --bin mapmaker; then
    echo "test: the tests do not compile" >&2
    exit 1
fi
scripts/python-module.sh dev
module=$PWD/out/test-module
python_tests() {
    run pytest env PYTHONPATH="$module" out/venv/bin/python -m pytest -q --color=no -p no:cacheprovider tests/python
    run doctests scripts/doctests.sh "$module"
}
# Groups of their own, so that they end with this script.
beside=()
set -m
for name in "${programs[@]}"; do
    run "$name" tests "--test=$name" >/dev/null &
    beside+=($!)
done
python_tests >/dev/null &
beside+=($!)
set +m
trap 'kill -- "${beside[@]/#/-}" 2>/dev/null || true' EXIT
# shellcheck disable=SC2086 # one word for each test
run cargo tests --lib --bins --examples $others
run doc tests --doc
# What differs with threads is in core alone.
run threads cargo test -p dolmen-core -p dolmen-core-tests --features threads --lib --test threads --color never
wait "${beside[@]}"
for name in "${programs[@]}" pytest doctests; do cat "$logs/$name.log"; done

scripts/count-tests.sh "$logs" | tee "$logs/summary"
