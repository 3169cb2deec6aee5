#!/usr/bin/env bash
# Which path media takes through NATs and firewalls, and how soon: UDP, TCP, TURN; headless peers and Chromium
# installs: tools node browsers net turn
# figures: matrix_open_first_frame_ms matrix_port_restricted_first_frame_ms matrix_symmetric_first_frame_ms matrix_double_first_frame_ms matrix_udp_blocked_first_frame_ms matrix_only_443_first_frame_ms matrix_page_udp_3478_first_frame_ms matrix_page_tcp_3478_first_frame_ms matrix_only_tls_first_frame_ms fall_to_tcp_s fall_to_turn_tls_s
source tests/lib/report.sh
source tests/lib/cargo.sh
build
step 'networks' node_tests tests/matrix/matrix.test.js
