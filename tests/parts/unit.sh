#!/usr/bin/env bash
# Unit, golden and property tests of every crate (end-to-end, simulation and media over TCP have parts of their own)
# installs: tools
source tests/lib/report.sh
source tests/lib/cargo.sh
build
targets=()
for name in $(test_targets tests/e2e tests/sim); do
    # The part ice-tcp runs it whole.
    [ "$name" = ice_tcp ] || targets+=(--test "$name")
done
step 'unit, golden and property tests' run_tests --lib --bins "${targets[@]}"
step 'examples in documentation' run_tests --doc
