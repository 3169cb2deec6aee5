#!/usr/bin/env bash
# People come and go for ten minutes, and nothing is left of those who went (with --long, or by name)
# installs: tools
# figures: soak_joins soak_growth_kib_per_join
source tests/lib/report.sh
step 'build' cargo build --quiet --package patchbay
export PATCHBAY_PREBUILT=1 PATCHBAY_SOAK_S=600
step 'soak' cargo test --package patchbay-e2e --quiet --test soak -- --nocapture
