#!/usr/bin/env bash
# Installs what ci/check.sh needs on Debian or Ubuntu. Does nothing where all of it is there already.
set -euo pipefail
cd "$(dirname "$0")/.."
CARGO_DENY=0.20.2

has() { command -v "$1" >/dev/null 2>&1; }
# Major versions, 0 where the program is missing.
node_major() { node --version 2>/dev/null | sed 's/^v\([0-9]*\).*/\1/;q' | grep . || echo 0; }
java_major() { javac -version 2>&1 | sed -n 's/^javac \([0-9]*\).*/\1/p' | grep . || echo 0; }

packages=()
need() { has "$1" || packages+=("$2"); }
need cc gcc
# The linker of gcc finds no C library without its headers.
[ -e /usr/include/stdlib.h ] || packages+=(libc6-dev)
need git git
need curl curl
need openssl openssl
need python3 python3
need xmllint libxml2-utils
need mvn maven
has chromium || has google-chrome || has google-chrome-stable || [ -x "${CHROME:-}" ] || packages+=(chromium)
[ "$(java_major)" -ge 17 ] || packages+=(default-jdk-headless)
[ "$(node_major)" -gt 0 ] || packages+=(nodejs)
has npm || [ "$(node_major)" -gt 18 ] || packages+=(npm)
python3 -c 'import jsonschema' 2>/dev/null || packages+=(python3-jsonschema)
[ -e /etc/ssl/certs/ca-certificates.crt ] || packages+=(ca-certificates)

if [ ${#packages[@]} -gt 0 ]; then
  echo "to install: ${packages[*]}"
  if ! has apt-get; then echo "setup.sh: no apt-get here; install them another way" >&2; exit 1; fi
  root=""; if [ "$(id -u)" != 0 ]; then root=sudo; fi
  $root apt-get update -qq </dev/null
  $root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" </dev/null
fi

# Debian 12 has Node.js 18; npm's own package brings a newer one.
if [ "$(node_major)" -lt 20 ]; then
  root=""; if [ "$(id -u)" != 0 ]; then root=sudo; fi
  $root npm install --global --no-audit --no-fund --loglevel=error node@22
  hash -r
fi

if ! has cargo; then
  echo "setup.sh: Rust is missing; install it from https://rustup.rs (1.95 or later)" >&2; exit 1
fi
for component in rustfmt clippy; do
  cargo "${component/rustfmt/fmt}" --version >/dev/null 2>&1 || rustup component add "$component"
done
# Built once, about three minutes on two cores; it stays in ~/.cargo.
cargo deny --version >/dev/null 2>&1 || cargo install --quiet --locked "cargo-deny@$CARGO_DENY"
cargo fetch --locked --quiet
echo "setup: $(cargo --version), node $(node --version), $(javac -version 2>&1), $(cargo deny --version)"
