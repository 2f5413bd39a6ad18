#!/usr/bin/env bash
# Run the tests of the serial kernels that use unchecked memory access under AddressSanitizer.
# The sanitizer's runtime comes with the toolchain; its flag is unstable, hence RUSTC_BOOTSTRAP.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/flavour.sh

host=$(rustc -vV | sed -n 's/^host: //p')
export RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=address" ASAN_OPTIONS=detect_leaks=0
cargo test --package dolmen-core --lib --target "$host" --target-dir "$target_dir/asan" csr::
