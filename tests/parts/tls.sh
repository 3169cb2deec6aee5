#!/usr/bin/env bash
# TLS in the server: renewed without a restart, its own certificate for a LAN, Chromium's camera over https, nodes over wss
# installs: tools node browsers
# figures: https_first_frame_chromium_ms
source tests/lib/report.sh
source tests/lib/cargo.sh
build
step 'certificates and handshakes' run_tests --test server -- tls::
step 'browser and nodes' node_tests tests/browser/tls/*.test.js
