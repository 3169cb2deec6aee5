# Words for people: what is going on, and what went wrong. Sourced.

die() {
    printf 'tests: %s\n' "$*" >&2
    exit 2
}

note() {
    printf '  %s\n' "$*"
}

# Prints a figure in the one form that the runner collects: `FIGURE name value unit`.
figure() {
    printf 'FIGURE %s %s %s\n' "$1" "$2" "$3"
}

# Runs a command, says how long it took if that is long, and fails with its name if it fails.
step() {
    local title=$1 started=$SECONDS
    shift
    printf -- '-- %s\n' "$title"
    if ! "$@"; then
        printf 'FAILED: %s (%s)\n' "$title" "$*"
        return 1
    fi
    [ $((SECONDS - started)) -lt 10 ] || note "$title: $((SECONDS - started)) s"
}

# Runs files of tests in Node, one after the other.
node_tests() {
    node --test --test-concurrency=1 --test-reporter=spec "$@"
}
