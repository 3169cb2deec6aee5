#!/usr/bin/env bash
# The real binary and headless peers, embedded and as two processes: media, slots, data, silence, hostile input
# installs: tools
# figures: late_join_first_frame_headless_ms twenty_peers_offers_per_peer signaling_restart_back_ms
source tests/lib/report.sh
source tests/lib/cargo.sh
build
# Alone, as it is a matter of milliseconds.
step 'late join' run_tests --test room -- --nocapture --test-threads 1 a_late_joiner
step 'end to end' run_tests --test room --test soak -- --nocapture --test-threads 2 --skip a_late_joiner
