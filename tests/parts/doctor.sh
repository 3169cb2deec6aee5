#!/usr/bin/env bash
# Ten ways to break a connection, each really done: the doctor, the timeline or the page names it as the documentation says
# installs: tools node browsers net turn
# figures: breakages_named trouble_shown_ms
source tests/lib/report.sh
source tests/lib/cargo.sh
build
step 'the doctor alone' run_tests --bins -- doctor::
step 'diagnoses' run_tests --lib --test server -- timeline
step 'breakages' node_tests tests/doctor/*.test.js
