#!/usr/bin/env bash
# Bad input gets a clear error with its place, the right exit code, and leaves nothing half-visible.
set -uo pipefail
work=$(mktemp -d); trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
cd "$work"
failed=0
expect() {  # code pattern... -- command
  local code=$1; shift
  local patterns=(); while [ "$1" != -- ]; do patterns+=("$1"); shift; done; shift
  "$@" >out 2>err; local got=$?
  [ $got = "$code" ] || { echo "FAIL: exit $got, expected $code: $*"; cat err; failed=1; }
  for p in "${patterns[@]}"; do grep -qE -- "$p" err || { echo "FAIL: no '$p' from: $*"; cat err; failed=1; }; done
}

printf '{"user":"a","ts":1700000000,"text":"x"}\n{"user":"b","ts":1700000060,"text":"y"}\n' >good.jsonl
cat >five.yaml <<'Y'
job: five
stesp: 1
steps:
  events: { op: read_events, path: good.jsonl, on_bad_row: skipp }
  tokens: { op: tokenize, from: evnets, lowercse: true }
  topics: { op: topic, from: tokens }
  some:   { op: filter, from: events }
Y
expect 2 "five.yaml:2:1: unknown key 'stesp'" "five.yaml:4:[0-9]+: 'on_bad_row' is 'skipp'" "did you mean 'skip'" \
  "five.yaml:5:[0-9]+: step 'tokens' reads from 'evnets'" "five.yaml:5:[0-9]+: unknown parameter of op 'tokenize': 'lowercse'" \
  "did you mean 'lowercase'" "five.yaml:6:[0-9]+: unknown op 'topic'" "five.yaml:7:[0-9]+: op 'filter' needs the parameter 'where'" -- "$THRONG" run five.yaml --out r
[ ! -e r ] || { echo "FAIL: a run directory was left"; failed=1; }

job() { printf 'job: j\nsteps:\n  events: { op: read_events, path: "%s" }\n  some: { op: filter, from: events, where: "%s" }\n' "$1" "$2" >job.yaml; }
job good.jsonl "usr == 'a'"
expect 2 "job.yaml:4:3: step 'some': expression .usr == 'a'., character 1: no column 'usr'" "did you mean 'user'" -- "$THRONG" run job.yaml --out r
printf 'job: few\nsteps:\n  events: { op: read_events, path: good.jsonl }\n  next: { op: train_sequence, from: events, target: text, shards: 2 }\n' >few.yaml
expect 2 "step 'next' .train_sequence.: 'shards' is 2, fewer than the 4 ranks" "set shards to 4, which changes the result" -- "$THRONG" plan few.yaml -n 4 --no-estimate
job none.jsonl true
expect 3 "none.jsonl: no such file" -- "$THRONG" run job.yaml --out r
for i in $(seq 5000); do echo "{\"user\":\"u$i\",\"ts\":$((1700000000 + i))}"; done | gzip >whole.jsonl.gz
head -c 20000 whole.jsonl.gz >cut.jsonl.gz
job cut.jsonl.gz true
expect 3 "cut.jsonl.gz: the gzip data ends in the middle" -- "$THRONG" run job.yaml --out r
printf '{"user":"a","ts":1700000000,"text":"ok"}\n{"user":"b","ts":1700000060,"text":"\xff\xfe"}\n' >bytes.jsonl
job bytes.jsonl true
expect 3 "bytes.jsonl:2: not valid UTF-8" "encoding: gb18030" -- "$THRONG" run job.yaml --out r_bytes
[ ! -e r_bytes/steps/some/data/manifest.json ] && [ ! -e r_bytes/steps/some/step.json ] || { echo "FAIL: a failed step looks finished"; failed=1; }
printf 'user,when\na,1\n' >nots.csv
job nots.csv true
expect 2 "nots.csv: the input has no column 'ts'; its columns are: user, when" "map: \{ts: ...\}" -- "$THRONG" run job.yaml --out r
printf '{"user":"a","ts":"yesterday"}\n' >late.jsonl
job late.jsonl true
expect 3 "late.jsonl:1: 'ts' is not a time: \"yesterday\"" "on_bad_row: skip" -- "$THRONG" run job.yaml --out r_late
expect 3 "late.jsonl:1: 'ts' is not a time" -- "$THRONG" run job.yaml --out r_late2 -n 2
job good.jsonl true
touch file
expect 4 "file/run.*: folder cannot be made" -- "$THRONG" run job.yaml --out file/run
if [ "$(id -u)" != 0 ]; then
  mkdir closed; chmod 555 closed
  expect 4 "closed/run.*: folder cannot be made" -- "$THRONG" run job.yaml --out closed/run
fi
mkdir other; touch other/thing
expect 2 "other: holds files, but no run" -- "$THRONG" run job.yaml --out other
mkdir -p half; touch half/part-00000.h5
expect 3 "half: has no manifest.json, so it is not a finished dataset" -- "$THRONG" inspect half
"$THRONG" run job.yaml --out fine >/dev/null || failed=1
printf 'x' | dd of="$(ls fine/steps/some/data/part-*.h5 | head -1)" bs=1 seek=4000 conv=notrunc 2>/dev/null
expect 2 "no operator 'tokenise'" "did you mean 'tokenize'" -- "$THRONG" operators tokenise
expect 2 "" -- "$THRONG" frobnicate
expect 2 "nothere: holds no run to resume" -- "$THRONG" run job.yaml --out nothere --resume
expect 2 "memory is 'lots'" -- "$THRONG" run job.yaml --out r --memory lots
exit $failed
