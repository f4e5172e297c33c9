#!/usr/bin/env bash
# Out of core: 350 MB of events are sorted, aggregated, joined, made distinct and cut into sessions within 16 MiB a rank and more. Each
# budget gives the same results; memory stays near it; a full quota or spill disk is an error that a resume with more room mends.
set -euo pipefail
folder=$(mktemp -d); mounted=
trap '[ -z "$mounted" ] || umount "$mounted"; rm -rf "$folder"' EXIT
cd "$folder"
"$THRONG" generate behaviour --users 50000 --events 4600000 --seed 5 --out events.jsonl >/dev/null
cat >job.yaml <<'Y'
job: sweep
steps:
  events:   { op: read_events, path: events.jsonl }
  sorted:   { op: sort, from: events, by: [user, ts] }
  counts:   { op: aggregate, from: events, by: [user, item], aggregates: { n: count(), s: sum(value), last: last(action) } }
  firsts:   { op: distinct, from: events, on: [user, item, action] }
  sessions: { op: sessionize, from: events, gap: 30m }
  pairs:    { op: join, from: [events, counts], on: [user, item], how: left }
  moves:    { op: transitions, from: sessions, value: action }
Y
summary() { # the content hashes; most resident MiB of a rank; MiB spilled
  python3 -c "
import json, sys
steps = json.load(open('$1'))['steps']
print(' '.join(s['content_hash'] for s in steps), max(s['peak_memory_bytes'] for s in steps) >> 20, sum(s['bytes_spilled'] for s in steps) >> 20)"
}
expected=
for budget in 16MiB 64MiB 2GiB; do
  rm -rf out
  "$THRONG" run job.yaml -n 2 --memory $budget --no-estimate --json --out out >result.json
  read -r -a got <<<"$(summary result.json)"
  hashes="${got[*]:0:${#got[@]}-2}" resident=${got[-2]} spilled=${got[-1]}
  echo "$budget a rank: $resident MiB resident at most, $spilled MiB spilled"
  [ "${expected:=$hashes}" = "$hashes" ] || { echo "FAIL: other results within $budget"; exit 1; }
  if [ $budget = 16MiB ]; then
    [ "$spilled" -gt 300 ] || { echo "FAIL: hardly anything was spilled"; exit 1; }
    [ "$resident" -lt 200 ] || { echo "FAIL: $resident MiB resident within a budget of 16 MiB"; exit 1; }
  fi
done
[ "$spilled" = 0 ] || { echo "FAIL: $spilled MiB spilled within 2 GiB"; exit 1; }

fails() { # what the error says, then arguments
  local says=$1 code=0
  shift
  "$THRONG" run job.yaml -n 2 --memory 16MiB --no-estimate --out full "$@" >/dev/null 2>error || code=$?
  [ $code = 4 ] && grep -q "$says" error && grep -q "hint:" error || { echo "FAIL: exit $code, expected 4 and '$says':"; cat error; exit 1; }
  [ ! -e full/steps/sorted/step.json ] || { echo "FAIL: the step that failed looks finished"; exit 1; }
}
fails "would pass the quota" --spill-quota 20MiB
mkdir small
if mount -t tmpfs -o size=20m none small 2>/dev/null; then
  mounted=$folder/small
  rm -rf full
  TMPDIR=$folder/small fails "No space left on device"
else
  echo "skipped: a full spill disk (no tmpfs may be mounted here)"
fi
"$THRONG" run full --resume -n 3 --no-estimate --json >result.json
read -r -a got <<<"$(summary result.json)"
[ "${got[*]:0:${#got[@]}-2}" = "$expected" ] || { echo "FAIL: other results after the disk was full"; exit 1; }
echo "OK"
