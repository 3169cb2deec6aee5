#!/usr/bin/env bash
# Media over TCP where no UDP passes: on the media port, on 443 beside HTTPS, on a node's own 443; hostile connections
# installs: tools node browsers net
# figures: tcp_first_frame_headless_ms tcp_first_frame_chromium_ms tcp_443_first_frame_chromium_ms udp_to_tcp_chromium_s tcp_first_frame_firefox_ms
source tests/lib/report.sh
source tests/lib/cargo.sh
build
step 'paths that are connections' run_tests --test transport -- tcp::
step 'calls, strangers, broken and slow connections' run_tests --test ice_tcp -- --test-threads 2
step 'the door of HTTP' run_tests --lib --test server -- door::
step 'headless peers' run_tests --test room -- --nocapture --test-threads 1 a_call_without_udp
step 'browsers' node_tests tests/browser/tcp/*.test.js
