#!/usr/bin/env bash
# The SDK: its tests in Node, and its types
# installs: tools node
source tests/lib/report.sh
mapfile -t suites < <(find web tests/browser -path '*/node_modules' -prune -o -name '*.unit.test.js' -print -o -path 'web/*' -name '*.test.js' -print)
[ ${#suites[@]} -gt 0 ] || die 'no JavaScript tests found under web/'
step 'node --test' node --test --test-reporter=spec "${suites[@]}"
config=$(find web -name node_modules -prune -o \( -name tsconfig.json -o -name jsconfig.json \) -print | head -1)
[ -n "$config" ] || die 'web/ has no tsconfig.json'
step 'types' tests/browser/node_modules/.bin/tsc --noEmit --project "$config"
