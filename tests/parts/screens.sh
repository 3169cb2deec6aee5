#!/usr/bin/env bash
# Pictures of the page before and in a call of 2, 5 and 12, desktop and phone, under tests/artifacts
# installs: tools node browsers
source tests/lib/report.sh
source tests/lib/cargo.sh
build
step 'pictures' node_tests tests/browser/screens/*.test.js
