#!/usr/bin/env bash
# The main job on 1, 2, 3 and 4 MPI ranks, and on 3 with shuffles by collectives: equal content hashes for every dataset and equal learned state, bit for bit.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cd "$work"
"$THRONG" generate behaviour --users 200 --events 20000 --seed 11 --out events.jsonl >/dev/null
sed -e 's|"../../build/quickstart/events.jsonl"|events.jsonl|' -e 's/epochs: 8/epochs: 2/' "$SOURCE/examples/quickstart/generated.yaml" >job.yaml
for ranks in 1 2 3 4 "3 --exchange collective"; do
  rm -rf run${ranks%% *}
  "$THRONG" run job.yaml -n $ranks --out run${ranks%% *} --json >/dev/null
  "$THRONG" inspect run${ranks%% *} --json | python3 -c '
import json, sys
steps = json.load(sys.stdin)["steps"]
assert len(steps) >= 10, len(steps)
for name, step in sorted(steps.items()):
    print(name, step["rows"], step["content_hash"], step["outputs"], step.get("state"))' >"hashes$ranks"
  diff hashes1 "hashes$ranks"
done
wc -l <hashes1
