#!/usr/bin/env bash
# A rank is killed in the middle of a shuffle, another one in the middle of the sort's write; a third run is stopped by SIGTERM in the middle
# of a shuffle. Each time --resume goes on from the stage's checkpoint on another number of ranks: nothing that was kept is done again, and
# the results are those of a run that nobody disturbed.
set -euo pipefail
trap 'echo "failed at line $LINENO (exit code of the run: ${code:-none})"; cat ./*.err 2>/dev/null' ERR
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cd "$work"
"$THRONG" generate behaviour --users 20000 --events 1500000 --seed 5 --out events.jsonl >/dev/null
cat >job.yaml <<'Y'
job: long
steps:
  events:   { op: read_events, path: events.jsonl }
  sorted:   { op: sort, from: events, by: [user, ts] }
  sessions: { op: sessionize, from: events, gap: 30m }
Y
facts() { # per step: content hash and the rows each operator saw, which would be more if something was done twice
  python3 -c "
import json, glob
for f in sorted(glob.glob('$1/steps/*/step.json')):
    s = json.load(open(f))
    print(s['id'], s['content_hash'], {n: c['rows'] for n, c in s['nodes'].items()})"; }
"$THRONG" run job.yaml -n 2 --no-estimate --out whole >/dev/null
facts whole >want

strike() { # out ranks step stage signal target: waits for a checkpoint inside that stage, then strikes
  "$THRONG" run job.yaml -n "$2" --no-estimate --memory 64MiB --checkpoint-every 30ms --resume --out "$1" >"$1.out" 2>"$1.err" &
  local launcher=$! victim found=
  for _ in $(seq 3000); do
    if grep -qs "\"stage\": $4" "$1/steps/$3/checkpoint/checkpoint.json"; then found=1; break; fi
    kill -0 $launcher 2>/dev/null || break
    sleep 0.01
  done
  [ "$found" ] || { echo "FAIL: no checkpoint inside stage $4 of '$3'"; cat "$1.err"; exit 1; }
  if [ "$6" = rank ]; then victim=$(pgrep -P "$(pgrep -P $launcher)" | tail -1); else victim=$launcher; fi
  kill "-$5" "$victim"
  code=0; wait $launcher || code=$?
  [ ! -e "$1/steps/$3/step.json" ] || { echo "FAIL: '$3' was done before it was struck"; exit 1; }
}
begin() { mkdir "$1"; cp job.yaml "$1/"; }

begin killed
strike killed 2 sorted 0 9 rank
[ $code = 4 ]
grep -q 'was ended by signal 9' killed.err
strike killed 3 sorted 1 9 rank
[ $code = 4 ]
strike killed 1 sessions 0 TERM launcher
[ $code = 75 ]
grep -q 'stopped at a checkpoint' killed.err
"$THRONG" run killed --resume -n 2 --no-estimate --json >result.json
facts killed | diff want -
python3 -c "
import json
steps = {s['id']: s for s in json.load(open('result.json'))['steps']}
assert steps['sorted']['metrics']['checkpoints'] >= 2 and steps['sessions']['metrics']['checkpoints'] >= 1, steps
print('checkpoints:', {i: s['metrics'].get('checkpoints', 0) for i, s in steps.items()})"
[ ! -e killed/steps/sorted/checkpoint ]
echo "OK"
