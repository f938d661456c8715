#!/usr/bin/env bash
# The released binary: target/release/ipsie-conform.
set -euo pipefail
cd "$(dirname "$0")/../.."
cargo build --locked --release
