#!/usr/bin/env bash
# The real core and simulated peers on a virtual network: loss, delay, reordering, duplication, silence
# installs: tools
# figures: sim_loss5_decoded_ratio sim_loss5_freezes sim_switch_median_ms sim_restart_gap_median_ms sim_rebinding_gap_median_ms data_reliable_stall_p99 data_reliable_stall_max data_small_beside_large_p99
source tests/lib/report.sh
source tests/lib/cargo.sh
build
step 'simulation' run_tests --test scenario -- --nocapture
