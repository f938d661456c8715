#!/usr/bin/env bash
# The code is formatted, and no file is longer than 500 lines.
set -euo pipefail
cd "$(dirname "$0")/../.."
cargo fmt --check
long=$(git ls-files '*.rs' | xargs wc -l | awk '$2 != "total" && $1 > 500')
if [ -n "$long" ]; then echo "longer than 500 lines, split them:"; echo "$long"; exit 1; fi
