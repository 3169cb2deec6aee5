#!/usr/bin/env bash
# schemathesis holds a real server against its own OpenAPI document, and an independent script takes and verifies its webhooks
# installs: tools api
# figures: webhook_delay api_cases
source tests/lib/report.sh
source tests/lib/cargo.sh

PATCHBAY=${CARGO_TARGET_DIR:-target}/debug/patchbay
KEYS=main:0123456789abcdef0123456789abcdef

# Every answer fits the document: statuses, bodies, headers; what is wrong is refused, what is right is taken; nothing fails
# inside. The stream of events never ends by itself, so it is for the tests of the server.
conformance() {
    local port token server status=0 log="$PATCHBAY_ARTIFACTS/api-schemathesis.log"
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    token=$("$PATCHBAY" token --keys "$KEYS" --api '*' --ttl 10m)
    "$PATCHBAY" serve --listen "127.0.0.1:$port" --media-port 0 --keys "$KEYS" --api-per-second 10000 --api-burst 10000 --log warn &
    server=$!
    tests/.provision/api/bin/schemathesis --config-file tests/signaling/schemathesis.toml run \
        "http://127.0.0.1:$port/v1/openapi.json" --wait-for-schema 20 --header "Authorization: Bearer $token" \
        --exclude-path /v1/events --no-color > "$log" 2>&1 || status=$?
    kill "$server"
    wait "$server" || true
    tail -n 60 "$log"
    [ "$status" -eq 0 ] || return 1
    figure api_cases "$(grep -oE '[0-9,]+ generated' "$log" | tail -n 1 | tr -dc 0-9)" cases
}

build
step 'rooms' python3 tests/signaling/verify_api.py "$PATCHBAY"
step 'webhooks' python3 tests/signaling/verify_webhook.py "$PATCHBAY"
step 'conformance' conformance
