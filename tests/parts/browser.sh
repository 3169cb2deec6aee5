#!/usr/bin/env bash
# Chromium and Firefox in one room: decoded frames and samples, every codec, pixels, reloads, text that stays text
# installs: tools node browsers
# figures: late_join_first_frame_chromium_ms
source tests/lib/report.sh
source tests/lib/cargo.sh
build
step 'browsers' node_tests tests/browser/room/*.test.js
