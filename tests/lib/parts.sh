# The parts of the test run: which there are, what they need, how one is run. Sourced by tests/run.

# In the order they are run: what fails fastest comes first.
ALL_PARTS=(lint purity unit js sim e2e browser connections strangers topics net tls ice-tcp turn recovery matrix doctor containers signaling-rules sessions signaling-call signaling-net signaling-crowd operation prometheus api dashboard screens bench data-load)
# What proves that a room works.
ROOM_PARTS=(js sim e2e browser strangers net screens bench)
# What proves that every network will do.
NETWORK_PARTS=(net tls ice-tcp turn recovery matrix doctor containers)
# What proves that signaling survives.
SIGNALING_PARTS=(js signaling-rules sessions connections signaling-call signaling-net signaling-crowd operation prometheus api dashboard)
# What proves the data plane.
DATA_PARTS=(js sim topics data-load)
# What only --long runs.
LONG_PARTS=(soak)

list_parts() {
    local part
    for part in "${ALL_PARTS[@]}" "${LONG_PARTS[@]}"; do
        printf '%-15s %s\n' "$part" "$(sed -n '2s/^# //p' "tests/parts/$part.sh")"
    done
    printf '%-15s %s\n' room "${ROOM_PARTS[*]}" network "${NETWORK_PARTS[*]}" signaling "${SIGNALING_PARTS[*]}" \
        data "${DATA_PARTS[*]}" \
        all "${ALL_PARTS[*]}"
}

# Fails if a part is in no list, and so would never run.
all_listed() {
    local file part failed=0
    for file in tests/parts/*.sh; do
        part=$(basename "$file" .sh)
        case " ${ALL_PARTS[*]} ${LONG_PARTS[*]} " in
            *" $part "*) ;;
            *)
                printf '%s is in no list of tests/lib/parts.sh\n' "$file"
                failed=1
                ;;
        esac
    done
    return "$failed"
}

expand_parts() {
    local name
    for name in "$@"; do
        case "$name" in
            all)
                printf '%s\n' "${ALL_PARTS[@]}"
                [ "$PATCHBAY_TEST_LONG" = 0 ] || printf '%s\n' "${LONG_PARTS[@]}"
                ;;
            room) printf '%s\n' "${ROOM_PARTS[@]}" ;;
            network) printf '%s\n' "${NETWORK_PARTS[@]}" ;;
            data) printf '%s\n' "${DATA_PARTS[@]}" ;;
            signaling) printf '%s\n' "${SIGNALING_PARTS[@]}" ;;
            *) printf '%s\n' "$name" ;;
        esac
    done | awk '!seen[$0]++'
}

# The words of a `# key: a b c` line in a part's file.
declared() {
    sed -n "s/^# $2: //p" "tests/parts/$1.sh"
}

# A part that hangs may not take the time of those after it. Seconds; the first part that builds takes the longest.
part_limit() {
    if [ "$PATCHBAY_TEST_LONG" = 0 ] && [ "$1" != soak ]; then echo 900; else echo 3600; fi
}

# Runs one part in a process group of its own, shows its output, keeps it under tests/artifacts, and prints one line.
run_part() {
    local part=$1 log="$PATCHBAY_ARTIFACTS/$1.log" started=$SECONDS status=0 installs missing name pid out tee_pid
    printf '\n== %s: %s\n' "$part" "$(sed -n '2s/^# //p' "tests/parts/$part.sh")"
    installs=$(declared "$part" installs)
    if [ -n "$installs" ]; then
        # shellcheck disable=SC2086
        if ! tests/provision $installs; then
            printf 'FAIL %s: what it needs could not be installed (%s)\n' "$part" "$installs"
            return 1
        fi
    fi

    exec {out}> >(exec tee "$log")
    tee_pid=$!
    set -m
    timeout --kill-after=10 "$(part_limit "$part")" bash -euo pipefail "tests/parts/$part.sh" >&"$out" 2>&1 &
    pid=$!
    set +m
    exec {out}>&-
    trap 'kill -- -'"$pid"' 2>/dev/null || true; exit 130' INT TERM
    wait "$pid" || status=$?
    trap - INT TERM
    # Whatever the part left running is in its process group.
    kill -- "-$pid" 2>/dev/null || true
    wait "$tee_pid" || true

    missing=()
    for name in $(declared "$part" figures); do
        grep -qE "FIGURE $name [0-9.]+" "$log" || missing+=("$name")
    done
    grep -ohE 'FIGURE [a-z0-9_]+ [0-9.]+( [^ ]+)?' "$log" | sort -u >> "$PATCHBAY_ARTIFACTS/figures.txt" || true
    [ "$status" -ne 124 ] || printf 'FAILED: %s s were not enough\n' "$(part_limit "$part")"
    if [ "$status" -ne 0 ]; then
        printf 'FAIL %s after %d s (exit code %d, log tests/artifacts/%s.log)\n' "$part" $((SECONDS - started)) "$status" "$part"
        return 1
    fi
    if [ ${#missing[@]} -gt 0 ]; then
        printf 'FAIL %s after %d s: figures missing: %s\n' "$part" $((SECONDS - started)) "${missing[*]}"
        return 1
    fi
    printf 'PASS %s after %d s\n' "$part" $((SECONDS - started))
}
