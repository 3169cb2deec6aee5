#!/usr/bin/env bash
# Sessions in Chromium outlive their connections: WebSockets blocked, streams held back, connections cut, frozen, or away
# installs: tools node browsers
# figures: signaling_resume_browser_ms signaling_half_open_found_browser_ms
source tests/lib/report.sh
source tests/lib/cargo.sh
build
step 'connections' node_tests tests/browser/signaling/*.test.js
