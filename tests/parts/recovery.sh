#!/usr/bin/env bash
# A call outlives a NAT that forgets, another address, holes that swallow everything, and blocked UDP
# installs: tools node browsers net
# figures: rebinding_p50_ms rebinding_worst_ms path_change_p50_ms path_change_p95_ms path_change_for_others_p50_ms path_change_for_others_p95_ms path_change_shown_late_ms blackhole_5_s_back_ms blackhole_20_s_back_ms link_back_ms udp_blocked_to_tcp_ms
source tests/lib/report.sh
source tests/lib/cargo.sh
build
step 'recovery' node_tests tests/browser/recovery/*.test.js
