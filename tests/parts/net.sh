#!/usr/bin/env bash
# A browser behind 5 % loss each way and 50 ms of delay keeps decoding, and survives a new address
# installs: tools node browsers net
# figures: lossy_frames_decoded_per_s lossy_freezes_per_minute address_change_recovery_s
source tests/lib/report.sh
source tests/lib/cargo.sh
build
step 'the network library' node_tests tests/net/*.test.js
step 'a call through loss' node_tests tests/browser/net/*.test.js
