#!/usr/bin/env bash
# Every test, also those on real products, which run the released binary with Chrome (BROWSER=form: without).
set -euo pipefail
# the kill matrix plays many peers at once, each with its own endpoints
ulimit -n "$(ulimit -Hn)" || true
cd "$(dirname "$0")/../.."
binary=$(cargo metadata --locked --no-deps --format-version 1 | python3 -c 'import json,sys; print(json.load(sys.stdin)["target_directory"])')/release/ipsie-conform
[ -x "$binary" ] || ci/check/release-build.sh
# The products wait for the clock most of the time, but each of them drives a browser of its own: two at once on two cores.
IPSIE_PRODUCTS=1 IPSIE_CONFORM_BIN=$binary IPSIE_BROWSER=${BROWSER:-chrome} RUST_TEST_THREADS=${RUST_TEST_THREADS:-2} \
  cargo test --locked --no-fail-fast "$@"
