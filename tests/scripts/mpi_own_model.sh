#!/usr/bin/env bash
# A user's own model, out of tree against an installed Throng: trained on 1 and 3 ranks to the same bits, and it has learned.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cmake --install "$BUILD" --prefix "$work/installed" >/dev/null
cp -r "$SOURCE/examples/own_model" "$work/own"
cmake -G Ninja -S "$work/own" -B "$work/own/build" -DCMAKE_PREFIX_PATH="$work/installed" -DCMAKE_BUILD_TYPE=Release >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
cmake --build "$work/own/build" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
throng=$work/installed/bin/throng
for ranks in 1 3; do
  "$throng" run "$work/own/job.yaml" --plugin "$work/own/build/libmy_models.so" -n $ranks --out "$work/run$ranks" >/dev/null
  "$throng" inspect "$work/run$ranks/steps/tone/data" --json | grep '"content_hash"' | tee "$work/hash$ranks"
done
cmp "$work/hash1" "$work/hash3"
"$throng" export "$work/run3/steps/right/data" --to "$work/right.jsonl" >/dev/null
cat "$work/right.jsonl"
python3 - "$work/right.jsonl" <<'PY'
import json, sys
rows = [json.loads(line) for line in open(sys.argv[1])]
assert len(rows) == 2 and all(r["texts"] == 80 for r in rows), rows
assert sum(r["found"] for r in rows) >= 150, rows  # of 160
PY
"$throng" operators tone --plugin "$work/own/build/libmy_models.so" | grep -q 'learning rate of Adam'
