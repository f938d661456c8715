#!/usr/bin/env bash
# Every test, also those on real products, which run with Chrome (BROWSER=form: without). Built as the released binary is: its dependencies
# need not be compiled a second time, and the kill matrix is several times faster.
set -euo pipefail
# the kill matrix plays many peers at once, each with its own endpoints
ulimit -n "$(ulimit -Hn)" || true
cd "$(dirname "$0")/../.."
# The products wait for the clock most of the time, but each of them drives a browser of its own: three at once on two cores.
IPSIE_PRODUCTS=1 IPSIE_BROWSER=${BROWSER:-chrome} RUST_TEST_THREADS=${RUST_TEST_THREADS:-3} \
  cargo test --locked --release --no-fail-fast "$@"
