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

# Runs a command, and fails with its name if it fails.
step() {
    local title=$1
    shift
    printf -- '-- %s\n' "$title"
    if ! "$@"; then
        printf 'FAILED: %s (%s)\n' "$title" "$*"
        return 1
    fi
}
