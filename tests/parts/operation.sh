#!/usr/bin/env bash
# The end of the server and its log: SIGTERM under load, a node that drains, no secret in any line
# installs: tools
# figures: drain_clients_told drain_requests_answered
source tests/lib/report.sh
source tests/lib/cargo.sh
build
step 'signals and logs' run_tests --test operation -- --nocapture --test-threads 2
