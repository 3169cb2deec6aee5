#!/usr/bin/env bash
# The end of the server and its log: SIGTERM under load, a node that drains, no secret in any line
# installs: tools
# figures: drain_clients_told drain_requests_answered
source tests/lib/report.sh
step 'build' cargo build --quiet --package patchbay --package patchbay-peer
PATCHBAY_PREBUILT=1 step 'signals and logs' cargo test --package patchbay-e2e --quiet --test operation -- --nocapture --test-threads 2
