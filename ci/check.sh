#!/usr/bin/env bash
# Everything that must hold before a change is taken, cheapest first. Each check is a script in ci/check/ that can be run alone.
# `ci/check.sh format clippy` runs only those.
set -uo pipefail
cd "$(dirname "$0")/.."
checks=("$@")
[ ${#checks[@]} -gt 0 ] || checks=(format dependencies clippy docs release-build tests)
table="" failed=0
for check in "${checks[@]}"; do
  echo; echo "== $check"
  begin=$SECONDS word=ok
  "ci/check/$check.sh" </dev/null || { word=FAILED; failed=1; }
  table+=$(printf '%-14s %-7s %4d s' "$check" "$word" $((SECONDS - begin)))$'\n'
done
echo; echo "$table"
if [ $failed = 0 ]; then echo "all checks passed"; else echo "NOT all checks passed"; fi
exit $failed
