#!/usr/bin/env bash
# What an engine's bridge does, by hand: a container in a network of its own behind published ports, a client outside, and the
# node's settings of docker-compose.bridge.yml. Media must flow to the published address. Needs root.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source tests/lib/report.sh
[ "$(id -u)" -eq 0 ] || exec sudo -n "${BASH_SOURCE[0]}" "$@"

PUBLIC=198.51.100.1
OUTSIDE=198.51.100.2
CONTAINER=172.30.78.2
GATEWAY=172.30.78.1
engine=pbc$$e container=pbc$$c client=pbc$$o
python=tests/.provision/containers/bin/python
log=$(mktemp)
server=

clean() {
    [ -z "$server" ] || kill "$server" 2> /dev/null || true
    for space in "$engine" "$container" "$client"; do ip netns del "$space" 2> /dev/null || true; done
    rm -f "$log"
}
trap clean EXIT

for space in "$engine" "$container" "$client"; do
    ip netns add "$space"
    ip -n "$space" link set lo up
done
ip -n "$engine" link add bridge type veth peer name eth0 netns "$container"
ip -n "$engine" link add outside type veth peer name eth0 netns "$client"
ip -n "$engine" addr add "$GATEWAY/24" dev bridge
ip -n "$engine" addr add "$PUBLIC/24" dev outside
ip -n "$container" addr add "$CONTAINER/24" dev eth0
ip -n "$client" addr add "$OUTSIDE/24" dev eth0
ip -n "$engine" link set bridge up
ip -n "$engine" link set outside up
ip -n "$container" link set eth0 up
ip -n "$client" link set eth0 up
ip -n "$container" route add default via "$GATEWAY"
# The headless peer joins the group of mDNS.
ip -n "$client" route add 224.0.0.0/4 dev eth0
ip netns exec "$engine" sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'

# The published ports and the node's environment, as the composition has them.
read -r http media first workers none < <("$python" - <<'PYTHON'
from ruamel.yaml import YAML
services = YAML(typ="safe").load(open("docker-compose.bridge.yml"))["services"]
udp, tcp = (it.rsplit("/", 1)[0] for it in services["sfu"]["ports"])
outer, inner = udp.split(":")
assert udp == tcp and outer == inner, "media ports are published unchanged, UDP and TCP"
node = services["sfu"]["environment"]
low, high = map(int, outer.split("-"))
assert high - low + 1 == int(node["PATCHBAY_WORKERS"]), "as many ports as workers"
outside, inside = services["signaling"]["ports"][0].removesuffix("/tcp").split(":")
assert services["signaling"]["environment"]["PATCHBAY_LISTEN"].endswith(f":{inside}")
print(f"{outside}:{inside}", outer, low, node["PATCHBAY_WORKERS"], node["PATCHBAY_NO_INTERFACE"])
PYTHON
)
ip netns exec "$engine" nft -f - <<NFT
table ip engine {
    chain published {
        type nat hook prerouting priority dstnat;
        ip daddr $PUBLIC udp dport $media dnat to $CONTAINER
        ip daddr $PUBLIC tcp dport $media dnat to $CONTAINER
        ip daddr $PUBLIC tcp dport ${http%:*} dnat to $CONTAINER:${http#*:}
    }
    chain leaving {
        type nat hook postrouting priority srcnat;
        ip saddr $CONTAINER oifname "outside" masquerade
    }
}
NFT

ip netns exec "$container" env PATCHBAY_LISTEN="0.0.0.0:${http#*:}" PATCHBAY_INSECURE_OPEN=true PATCHBAY_PUBLIC_IP="$PUBLIC" \
    PATCHBAY_NO_INTERFACE="$none" PATCHBAY_WORKERS="$workers" target/debug/patchbay > "$log" 2>&1 &
server=$!
until ip netns exec "$client" target/debug/patchbay healthcheck --url "http://$PUBLIC:${http%:*}/readyz" 2> /dev/null; do
    kill -0 "$server" 2> /dev/null || { cat "$log"; die 'the server ended'; }
    [ "$SECONDS" -lt 30 ] || { cat "$log"; die 'not ready within 30 s'; }
    sleep 0.1
done
grep -q "ports=\[$first," "$log" || { cat "$log"; die "media is not on $first"; }

# Both peers publish, and each has to see the other.
call() {
    local statistics
    if ! statistics=$(timeout 60 ip netns exec "$client" target/debug/patchbay-peer --server "http://$PUBLIC:${http%:*}" --room bridge \
        --bind "$OUTSIDE" --count 2 --video ball --audio tone --video-slot speaker:1 --duration 4 --expect-frames 30 "$@"); then
        cat "$log"
        printf '%s\n' "$statistics"
        die "no media by way of the published ports ($*)"
    fi
    note "media flows by way of the published ports: $(grep -o '"frames":[0-9]*' <<< "$statistics" | sort -u | tr '\n' ' ')"
}
call
call --tcp
