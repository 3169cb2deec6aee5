#!/usr/bin/env bash
# A client cut off 200 times in a minute, over WebSocket, SSE and long polling, misses nothing and does nothing twice
# installs: tools
# figures: signaling_resume_cuts signaling_resume_p50
source tests/lib/report.sh
source tests/lib/cargo.sh
build
PATCHBAY_CUTS=200 step 'cuts' run_tests --test server survival -- --nocapture
