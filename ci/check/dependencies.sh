#!/usr/bin/env bash
# Licences, duplicate versions and sources of the dependencies (ci/deny.toml); security advisories where their database can be reached.
set -euo pipefail
cd "$(dirname "$0")/../.."
deny() { cargo deny --config ci/deny.toml --locked check --hide-inclusion-graph -A no-license-field "$@"; }
deny licenses bans sources

database=https://github.com/RustSec/advisory-db
if timeout 20 git ls-remote --exit-code "$database" HEAD >/dev/null 2>&1; then
  deny advisories
else
  echo "advisories NOT checked: $database cannot be reached from here"
fi
