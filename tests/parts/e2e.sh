#!/usr/bin/env bash
# The real binary and headless peers, embedded and as two processes: media, slots, data, silence, hostile input
# installs: tools
# figures: late_join_first_frame_headless_ms twenty_peers_offers_per_peer signaling_restart_back_ms
source tests/lib/report.sh
step 'build' cargo build --quiet --package patchbay --package patchbay-peer
step 'examples' cargo build --quiet --package patchbay-client --examples
export PATCHBAY_PREBUILT=1
# Alone, as it is a matter of milliseconds.
step 'late join' cargo test --package patchbay-e2e --quiet -- --nocapture --test-threads 1 a_late_joiner
step 'end to end' cargo test --package patchbay-e2e --quiet -- --nocapture --test-threads 2 --skip a_late_joiner
