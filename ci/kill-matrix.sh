#!/usr/bin/env bash
# Writes reports/kill-matrix.md anew. The test kill_matrix fails when the page is old.
set -euo pipefail
# the kill matrix plays many peers at once, each with its own endpoints
ulimit -n "$(ulimit -Hn)" || true
cd "$(dirname "$0")/.."
cargo build --locked --release
page=$(cargo run --locked --release --quiet -- selftest --format markdown)
printf '%s\n' "$page" > reports/kill-matrix.md
