#!/usr/bin/env bash
# The real coturn with our configuration: who may use it, what it may reach, and browsers with no other way
# installs: tools node browsers net turn
# figures: turn_forbidden_peers_refused turn_udp_first_frame_ms turn_tcp_first_frame_ms turn_tls_first_frame_ms
source tests/lib/report.sh
source tests/lib/cargo.sh
build
step 'rules' node_tests tests/turn/rules.test.js
step 'browsers' node_tests tests/turn/relay.test.js
