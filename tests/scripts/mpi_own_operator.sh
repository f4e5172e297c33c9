#!/usr/bin/env bash
# A user's own operator, out of tree against an installed Throng: as a plugin on 1 and 2 ranks, and linked into a program.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cmake --install "$BUILD" --prefix "$work/installed" >/dev/null
cp -r "$SOURCE/examples/own_operator" "$work/own"
cmake -G Ninja -S "$work/own" -B "$work/own/build" -DCMAKE_PREFIX_PATH="$work/installed" -DCMAKE_BUILD_TYPE=Release >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
cmake --build "$work/own/build" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
throng=$work/installed/bin/throng
for ranks in 1 2; do
  "$throng" run "$work/own/job.yaml" --plugin "$work/own/build/libmy_operators.so" -n $ranks --out "$work/run$ranks" >/dev/null
  "$throng" inspect "$work/run$ranks/steps/loud/data" --json | grep -E '"(rows|content_hash)"' | tee "$work/hash$ranks"
done
cmp "$work/hash1" "$work/hash2"
grep -q '"rows": 2' "$work/hash1"
"$work/own/build/my_program" "$work/own/events.jsonl" "$work/run3" | tee "$work/program"
grep -q "loud: 2 rows, $(sed -n 's/.*"content_hash": "\(.*\)".*/\1/p' "$work/hash1")" "$work/program"
"$throng" operators emphasis --plugin "$work/own/build/libmy_operators.so" | grep -q 'the mark to count'
