#!/usr/bin/env bash
# Compositions that compose takes, a Dockerfile without lint, what it says done by hand, and media through published ports
# installs: tools net containers
# figures: container_healthy_ms
source tests/lib/report.sh
source tests/lib/cargo.sh
bin="$PWD/tests/.provision/containers/bin"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

compositions=(docker-compose.yml docker-compose.bridge.yml)
settings=(PATCHBAY_NODE_SECRET=secret PUBLIC_HOST=media.example.org PUBLIC_IP=203.0.113.7 TURN_HOST=turn.example.org)
compose=(docker-compose)
if docker compose version > /dev/null 2>&1; then compose=(docker compose); fi

# Without the engine, as nothing is started.
composed() {
    env "${settings[@]}" "${compose[@]}" --file "$1" config --quiet
}

# What a person forgot to set is named.
refused_without() {
    local words
    if words=$(env "${settings[@]}" env --unset="$2" "${compose[@]}" --file "$1" config --quiet 2>&1); then
        printf '%s is taken without %s\n' "$1" "$2"
        return 1
    fi
    grep -q "$2" <<< "$words" || { printf '%s\n' "$words"; return 1; }
}

for file in "${compositions[@]}"; do
    step "$file fits the specification" "$bin/check-jsonschema" --builtin-schema vendor.compose-spec "$file"
    step "$file is taken by ${compose[*]}" composed "$file"
    for name in PATCHBAY_NODE_SECRET PUBLIC_HOST PUBLIC_IP; do
        step "$file needs $name" refused_without "$file" "$name"
    done
done
step 'the Dockerfile has no lint' "$bin/hadolint" --failure-threshold info Dockerfile
build
as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo -n env "PATH=$PATH" "HOME=$HOME" "CARGO_HOME=${CARGO_HOME:-$HOME/.cargo}" "RUSTUP_HOME=${RUSTUP_HOME:-$HOME/.rustup}")
step 'what the Dockerfile says, done' "${as_root[@]}" "$bin/python" tests/containers/exercise.py \
    --profile "${PATCHBAY_CONTAINER_PROFILE:-dev}" "$scratch"
step 'media through published ports' tests/containers/bridge.sh
