#!/usr/bin/env bash
# Run the tests of the serial kernels that use unchecked memory access under AddressSanitizer.
# The sanitizer's runtime comes with the toolchain; its flag is unstable, hence RUSTC_BOOTSTRAP,
# which only the crate itself sees: what it depends on is there from its other tests.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/flavour.sh

mkdir -p out
wrapper=$PWD/out/asan-rustc
printf '#!/bin/sh\nRUSTC_BOOTSTRAP=1 exec "$@"\n' >"$wrapper"
chmod +x "$wrapper"

# The features of the crate's tests with threads, of which scripts/test.sh has the dependencies.
built=$(RUSTC_WORKSPACE_WRAPPER=$wrapper cargo rustc --package dolmen-core --features threads --lib --profile test \
    --message-format json-render-diagnostics -- -Zsanitizer=address)
program=$(sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' <<<"$built" | tail -1)
ASAN_OPTIONS=detect_leaks=0 "$program" csr::
