#!/usr/bin/env bash
# Four in Chromium while signaling is killed twice; the room page behind a real nginx that refuses upgrades, or holds streams back
# installs: tools node browsers nginx
# figures: signaling_kill_back_ms signaling_nginx_sse_join_ms signaling_nginx_poll_join_ms
source tests/lib/report.sh
source tests/lib/cargo.sh
build
step 'a kill' node_tests tests/signaling/restart.test.js
step 'nginx' node_tests tests/signaling/nginx.test.js
