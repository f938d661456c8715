#!/usr/bin/env bash
# Prints the speed figures as a Markdown table: the released binary against the oidc-provider fixture (configuration sl1) and the
# express-openid-connect fixture with Chrome, against the scim2-server fixture side by side with two other testers (scim_bench.py), and on the
# embedded peer. Takes about seven minutes. Exit code 1 when a figure is above its limit.
# IPSIE_CONFORM_BIN names another binary.
set -euo pipefail
cd "$(dirname "$0")/.."
binary=${IPSIE_CONFORM_BIN:-}
if [ -z "$binary" ]; then
  cargo build --locked --release
  binary=$(cargo metadata --locked --no-deps --format-version 1 | python3 -c 'import json,sys; print(json.load(sys.stdin)["target_directory"])')/release/ipsie-conform
fi
runtime=$(mktemp -d)
products=()
end() { for product in "${products[@]}"; do kill -TERM -- "-$product" 2>/dev/null || true; wait "$product" 2>/dev/null || true; done; rm -rf "$runtime"; }
trap end EXIT
# Each in a process group of its own, so that the end reaches whatever the script starts.
start() {
  mkdir -p "$runtime/$1"
  set -m
  "fixtures/products/$1/start.sh" "$2" "$runtime/$1" >"$runtime/$1.log" 2>&1 </dev/null &
  products+=($!)
  set +m
  for _ in $(seq 1200); do
    [ ! -e "$runtime/$1/ready" ] || return 0
    kill -0 "${products[-1]}" 2>/dev/null || break
    sleep 0.1
  done
  cat "$runtime/$1.log" >&2
  exit 1
}
start oidc-provider sl1
start express-openid-connect defaults
start scim2-server defaults
python3 ci/bench.py "$binary" "$runtime/oidc-provider/target.toml" "$runtime/express-openid-connect/target.toml" "${products[1]}" "$runtime/scim2-server"
