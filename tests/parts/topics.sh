#!/usr/bin/env bash
# Topics, calls and files with real clients: the Rust client, Chromium, Firefox, aiortc; over signaling; the arena with a hundred bots
# installs: tools node browsers strangers
# figures: client_snapshot_after_open_ms client_file_mbit_s client_rejoined_after_kill_ms browser_file_mbit_s browser_topic_over_signaling_after_ms arena_position_error_worst_ms
source tests/lib/report.sh
source tests/lib/cargo.sh
build
step 'frames in Python' python3 tests/strangers/frames.py protocol/frame/golden
step 'frames and client' run_tests --lib --test golden
step 'the client and the server' run_tests --test client -- --nocapture --test-threads 2
step 'browsers and strangers' node_tests tests/browser/data/*.test.js
