#!/usr/bin/env bash
# Unit, golden and property tests of every crate (end-to-end and simulation have parts of their own)
# installs: tools
source tests/lib/report.sh
exclude=()
for crate in patchbay-e2e patchbay-sim; do
    if grep -rqs "^name = \"$crate\"" tests/*/Cargo.toml; then exclude+=(--exclude "$crate"); fi
done
step 'cargo test' cargo test --workspace --quiet "${exclude[@]}"
