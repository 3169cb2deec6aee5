#!/usr/bin/env bash
# Unit, golden and property tests of every crate (end-to-end and simulation have parts of their own)
# installs: tools
source tests/lib/report.sh
source tests/lib/cargo.sh
build
targets=()
for name in $(test_targets tests/e2e tests/sim); do targets+=(--test "$name"); done
step 'unit, golden and property tests' run_tests --lib --bins "${targets[@]}"
step 'examples in documentation' run_tests --doc
