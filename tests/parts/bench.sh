#!/usr/bin/env bash
# What a forwarded packet costs: before the socket, and in the whole process
# installs: tools
# figures: forward_ns_per_packet forward_allocations_per_packet process_us_per_packet all_to_all_us_per_packet data_reliable_100_ns data_unreliable_100_ns data_unreliable_1100_ns data_reliable_16k_by_4_rate
source tests/lib/report.sh
source tests/lib/cargo.sh
build_release
step 'forward path' cargo bench --quiet "${RELEASE[@]}" "${BENCHES[@]}"
step 'whole process' "${CARGO_TARGET_DIR:-target}/release/patchbay-load"
