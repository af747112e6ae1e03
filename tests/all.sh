#!/usr/bin/env bash
# Runs all tests for `make test`, and lists the ignored ones with the reasons. target/tests.log keeps what is printed.
#
# Most tests wait for other processes. Therefore four of them run at a time, and the release binary, which the suite
# `publish` packs, is built meanwhile. If that fails, `publish` builds it again and reports the error. The suites that
# measure times come first; then the tests of the containers run beside the other suites.
set -uo pipefail
cd "$(dirname "$0")/.." || exit

run() {
    trap 'kill $(jobs -p) 2>/dev/null' EXIT
    cargo test --no-run || return
    nice make guard >/dev/null 2>&1 &
    cargo test --bins || return
    cargo test --test author --test database --test guard --test init -- --test-threads=4 || return
    local code=0 containers
    cargo test --test containers -- --test-threads=4 >target/containers.log 2>&1 &
    containers=$!
    cargo test --test network --test publish --test recipes --test scenarios --test service --test tidy \
        -- --test-threads=4 || code=$?
    wait "$containers" || code=$?
    cat target/containers.log
    [ "$code" -eq 0 ] || return "$code"
    # Without the client of PostgreSQL. What takes long and has no part in it is left out.
    cargo test --no-default-features --test guard -- --test-threads=4 \
        --skip env_files:: --skip fixes:: --skip secrets:: --skip values:: --skip canaries::
}

run 2>&1 | tee target/tests.log
code=$?
"${PYTHON:-python3}" tests/ignored.py target/tests.log && exit "$code"
