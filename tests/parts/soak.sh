#!/usr/bin/env bash
# People come and go for ten minutes, and nothing is left of those who went (with --long, or by name)
# installs: tools
# figures: soak_joins soak_growth_kib_per_join
source tests/lib/report.sh
source tests/lib/cargo.sh
build
export PATCHBAY_SOAK_S=600
step 'soak' run_tests --test soak -- --nocapture
