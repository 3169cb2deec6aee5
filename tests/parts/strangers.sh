#!/usr/bin/env bash
# aiortc and GStreamer publish by WHIP into a room a browser watches, and play by WHEP what a browser publishes
# installs: tools node browsers strangers
source tests/lib/report.sh
source tests/lib/cargo.sh
build
step 'strangers' node_tests tests/strangers/*.test.js
