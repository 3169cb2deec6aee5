#!/usr/bin/env bash
# aiortc and GStreamer publish by WHIP into a room a browser watches, and play by WHEP what a browser publishes
# installs: tools node browsers strangers
source tests/lib/report.sh
source tests/lib/cargo.sh
build
step 'strangers' node --test --test-concurrency=1 --test-reporter=spec tests/strangers/*.test.js
