#!/usr/bin/env bash
# Ten thousand idle sessions, a room of a thousand with one that reads nothing, two thousand over a restart, round trips
# installs: tools
# figures: signaling_session_bytes signaling_idle_cpu_percent signaling_broadcast_1000_ms signaling_stuck_p99_ratio signaling_2000_back_ms signaling_2000_attempts_busiest_100ms signaling_round_trips_per_s signaling_round_trip_p50_us signaling_round_trip_p99_us
source tests/lib/report.sh
source tests/lib/cargo.sh
# A connection is a file on both sides; by default 1,024 are allowed.
ulimit -n "$(ulimit -Hn)"
build
note 'the server is a debug build, and shares the processor with its crowd'
step 'crowd' "${CARGO_TARGET_DIR:-target}/debug/patchbay-crowd"
