#!/bin/sh
# Sum the results in the logs of all test runners: scripts/count-tests.sh DIRECTORY
#
# Reads NAME.log and NAME.code (the runner's exit code) for every runner; understands the
# closing lines of cargo test ("test result: ...") and of pytest ("3 passed, 1 skipped in 0.2s").
# Prints "N passed, N failed, N skipped"; ends with 1 if anything failed or nothing ran.
# A runner that went wrong without a failed test (it did not compile, it crashed) counts as
# one failure, so that it cannot be overlooked.
set -eu

passed=0 failed=0 skipped=0
for log in "$1"/*.log; do
    counts=$(awk '
        /^test result: / || /^=* ?[0-9]+ (passed|failed|skipped|errors?|deselected|xfailed|xpassed|warnings?).* in [0-9.]+s/ {
            gsub(/[;,=]/, " ")
            for (i = 2; i <= NF; i++) {
                if ($i == "passed" || $i == "xpassed") passed += $(i - 1)
                if ($i == "failed" || $i ~ /^errors?$/) failed += $(i - 1)
                if ($i == "ignored" || $i == "skipped" || $i == "xfailed") skipped += $(i - 1)
            }
        }
        END { print passed + 0, failed + 0, skipped + 0 }' "$log")
    # shellcheck disable=SC2086 # three numbers
    set -- "$1" $counts
    code=$(cat "${log%.log}.code")
    if [ "$code" -ne 0 ] && [ "$3" -eq 0 ]; then
        echo "$(basename "$log" .log) ended with code $code without a failed test: see $log" >&2
        set -- "$1" "$2" 1 "$4"
    fi
    passed=$((passed + $2)) failed=$((failed + $3)) skipped=$((skipped + $4))
done

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
