#!/usr/bin/env bash
# Formatting, clippy without warnings, documentation, licences and sources of dependencies
# installs: tools deny
source tests/lib/report.sh
source tests/lib/parts.sh
PATH="$PWD/tests/.provision/deny/bin:$PATH"
step 'every part is listed' all_listed
step 'formatting' cargo fmt --all --check
step 'clippy' cargo clippy --workspace --all-targets --quiet -- -D warnings
step 'documentation' env RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --quiet
step 'licences, bans and sources' cargo deny --log-level error check --hide-inclusion-graph licenses bans sources
# The advisories live in a repository of their own; without a network they cannot be asked.
if timeout 60 cargo deny --log-level error fetch db > /dev/null 2>&1; then
    step 'advisories' cargo deny --log-level error check --disable-fetch advisories
else
    note 'advisories not checked: the advisory database cannot be fetched from here'
fi
