#!/usr/bin/env bash
# The core cannot do I/O, and crates depend on one another in one direction only
source tests/lib/report.sh

# Every crate that $1 depends on, itself excluded. rtc-ice brings a multicast DNS resolver, which brings socket2; the
# core never makes one, so what hangs below it is left out.
depends_on() {
    local prune=()
    if cargo tree --package "$1" --edges normal --prefix none --locked | grep -q '^rtc-mdns '; then
        prune=(--prune rtc-mdns)
    fi
    cargo tree --package "$1" --edges normal "${prune[@]}" --prefix none --format '{p}' --locked |
        awk 'NR > 1 { print $1 }' | sort -u
}

# Fails if crate $1 depends, directly or not, on one of the others.
never() {
    local crate=$1 tree banned failed=0
    shift
    tree=$(depends_on "$crate") || return 1
    for banned in "$@"; do
        if grep -qx "$banned" <<< "$tree"; then
            printf '%s must not depend on %s:\n' "$crate" "$banned"
            cargo tree --package "$crate" --edges normal --invert "$banned" --locked || true
            failed=1
        fi
    done
    return "$failed"
}

IO=(tokio mio socket2 quinn-udp axum hyper tokio-tungstenite async-std smol)
for crate in patchbay-sfu-core patchbay-sctp patchbay-wire patchbay-sdp patchbay-protocol; do
    step "$crate does no I/O" never "$crate" "${IO[@]}"
done
step 'the core does not know signaling' never patchbay-sfu-core patchbay-signaling patchbay-sfu patchbay
step 'the SFU does not know signaling' never patchbay-sfu patchbay-signaling patchbay axum
step 'signaling does not know the SFU' never patchbay-signaling patchbay-sfu patchbay-sfu-core patchbay
step 'the protocol knows nobody' never patchbay-protocol patchbay-signaling patchbay-sfu patchbay-sfu-core patchbay-wire patchbay-sdp
step 'the media plane is not RTCPeerConnection' never patchbay-sfu webrtc rtc rtc-sctp

one_version() {
    local found
    found=$(cargo tree --package patchbay --edges normal --prefix none --format '{p}' --locked | awk -v name="$1" '$1 == name { print $2 }' | sort -u | wc -l)
    [ "$found" -le 1 ]
}
for crate in rtc-ice rtc-dtls rtc-shared tokio-tungstenite tokio; do
    step "one copy of $crate" one_version "$crate"
done
