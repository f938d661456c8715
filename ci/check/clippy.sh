#!/usr/bin/env bash
# No warning of the compiler or of clippy, in the program and in its tests.
set -euo pipefail
cd "$(dirname "$0")/../.."
cargo clippy --locked --all-targets -- -D warnings
