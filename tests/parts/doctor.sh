#!/usr/bin/env bash
# Ten ways to break a connection, each really done: the doctor, the timeline or the page names it as the documentation says
# installs: tools node browsers net turn
# figures: breakages_named trouble_shown_ms
source tests/lib/report.sh
step 'build' cargo build --quiet --package patchbay --package patchbay-peer
step 'the doctor alone' cargo test --package patchbay --quiet -- doctor::
step 'diagnoses' cargo test --package patchbay-signaling --quiet -- timeline
step 'breakages' timeout 300 node --test --test-concurrency=1 --test-reporter=spec tests/doctor/*.test.js
