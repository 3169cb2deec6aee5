#!/usr/bin/env bash
# A real Prometheus scrapes the server, and every query of the Grafana dashboard returns data
# installs: tools node prometheus
# figures: dashboard_queries_answered
source tests/lib/report.sh
source tests/lib/cargo.sh
build
step 'queries' node_tests tests/operation/prometheus.test.js
