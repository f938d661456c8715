#!/usr/bin/env bash
# Prints the speed figures as a Markdown table: the released binary against the oidc-provider fixture (configuration sl1) with
# Chrome, and on the embedded peer. Takes about three minutes. Exit code 1 when a figure is above its limit.
# IPSIE_CONFORM_BIN names another binary.
set -euo pipefail
cd "$(dirname "$0")/.."
binary=${IPSIE_CONFORM_BIN:-}
if [ -z "$binary" ]; then
  cargo build --locked --release
  binary=$(cargo metadata --locked --no-deps --format-version 1 | python3 -c 'import json,sys; print(json.load(sys.stdin)["target_directory"])')/release/ipsie-conform
fi
runtime=$(mktemp -d)
# A process group of its own, so that the end reaches whatever the script starts.
set -m
fixtures/products/oidc-provider/start.sh sl1 "$runtime" >"$runtime/start.log" 2>&1 </dev/null &
product=$!
set +m
end() { kill -TERM -- "-$product" 2>/dev/null || true; wait "$product" 2>/dev/null || true; rm -rf "$runtime"; }
trap end EXIT
for _ in $(seq 1200); do
  [ ! -e "$runtime/ready" ] || break
  kill -0 "$product" 2>/dev/null || { cat "$runtime/start.log" >&2; exit 1; }
  sleep 0.1
done
python3 ci/bench.py "$binary" "$runtime/target.toml"
