# One build that every part shares. Sourced, after report.sh.
#
# Cargo unites the features of whatever is built together, so parts that each asked for their own packages had tokio,
# rustls and webrtc-rs built up to nine times, which took most of an hour on two cores. Everything here therefore
# names the whole workspace, and picks targets, not packages.

# Programs, examples and tests of the whole workspace.
build() {
    step 'build' cargo build --workspace --bins --examples --tests --quiet
    export PATCHBAY_PREBUILT=1
}

# Runs tests by target: `run_tests --test server -- --nocapture tls::`. `--lib` are the unit tests of every crate.
run_tests() {
    cargo test --workspace --quiet "$@"
}

# The benches, the server and its load generator as they are measured.
RELEASE=(--package patchbay --package patchbay-load --package patchbay-sfu-core)

# `--benches` would also build every library and program once more, as if it had benches inside.
BENCHES=(--bench forward --bench data --bench topic)

build_release() {
    step 'release build' cargo build --release --quiet "${RELEASE[@]}" --bins "${BENCHES[@]}"
}

# The names of the test targets outside the folders given: `test_targets tests/e2e tests/sim`.
test_targets() {
    cargo metadata --no-deps --locked --format-version 1 | python3 -c '
import json, os, sys
kept_out = tuple(os.path.abspath(folder) + os.sep for folder in sys.argv[1:])
packages = json.load(sys.stdin)["packages"]
targets = [target for package in packages if not package["manifest_path"].startswith(kept_out) for target in package["targets"]]
print(*sorted({target["name"] for target in targets if "test" in target["kind"]}))
' "$@"
}
