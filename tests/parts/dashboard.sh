#!/usr/bin/env bash
# The operators' dashboard in Chromium: rooms live, what can be done to them, a restart of the server, tokens; pictures
# installs: tools node browsers
source tests/lib/report.sh
source tests/lib/cargo.sh
build
step 'dashboard' node_tests tests/browser/dashboard/*.test.js
