#!/usr/bin/env bash
# Half-open connections: packets vanish without a word, and both sides find out within 15 s, over WebSocket, SSE and long polling
# installs: tools node net
# figures: signaling_half_open_websocket_client_ms signaling_half_open_websocket_server_ms signaling_half_open_sse_client_ms signaling_half_open_sse_server_ms signaling_half_open_poll_client_ms signaling_half_open_poll_server_ms
source tests/lib/report.sh
source tests/lib/cargo.sh
build
step 'half-open' node_tests tests/signaling/half-open.test.js
