#!/usr/bin/env bash
# No warning of the compiler or of clippy, in the program and in its tests. In the profile of the released binary, so that the C library and
# the macros are compiled once for all checks.
set -euo pipefail
cd "$(dirname "$0")/../.."
cargo clippy --locked --release --all-targets -- -D warnings
