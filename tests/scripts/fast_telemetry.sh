#!/usr/bin/env bash
# What the ranks say of themselves beside MPI: while one of three is stopped, `throng status` says who waits for whom; metrics are in Prometheus' form.
set -euo pipefail
work=$(mktemp -d)
stopped=
leave() { [ -z "$stopped" ] || kill -CONT "$stopped" 2>/dev/null || true; "$THRONG" cancel runs/long >/dev/null 2>&1 || true; rm -rf "$work"; }
trap leave EXIT
trap 'echo "failed at line $LINENO"; "$THRONG" status runs/long || true; cat runs/long/ranks.json || true' ERR
cd "$work"
"$THRONG" generate behaviour --users 100 --events 5000 --seed 5 --out events.jsonl >/dev/null
cat >long.yaml <<'Y'
job: long
steps:
  events: { op: read_events, path: events.jsonl }
  parts:  { op: split, from: events }
  next:   { op: train_sequence, from: parts, epochs: 100000, hidden: 16 }
Y
. "$SOURCE/tests/support/submissions.sh"
eventually() { for _ in $(seq 600); do "$@" && return; sleep 0.1; done; echo "not so: $*"; return 1; }
says() { "$THRONG" status runs/long >status.out; grep -qE "$1" status.out; }
pid_of() { python3 -c 'import json, sys; print([r["pid"] for r in json.load(open("runs/long/ranks.json"))["ranks"] if r["rank"] == int(sys.argv[1])][0])' "$1"; }

"$THRONG" submit long.yaml -n 3 --no-estimate --hang-timeout 0 >submit.out
eventually says "ranks 0-2 work on step 'next': epoch"
says '3 ranks on .* resident, at most .* in one'
stopped=$(pid_of 1)
kill -STOP "$stopped"
eventually says "ranks? 0.* waits? for .* s in .* of step 'next', for rank 1"
eventually says 'rank 1 on .*: not heard of for .* before that:'
"$THRONG" status runs/long --json | python3 -c '
import json, sys
s = json.load(sys.stdin)
waits = {r["rank"]: r["lanes"][0] for r in s["ranks"]}
assert waits[0]["doing"] == waits[2]["doing"] == "collective", waits
assert any("for rank 1" in line for line in s["ranks_explained"]), s["ranks_explained"]'
kill -CONT "$stopped"
eventually says "ranks 0-2 work on step 'next': epoch"
"$THRONG" cancel runs/long >cancel.out
[ "$(state runs/long)" = cancelled ]

# Ranks as threads of one process, and a single rank: the same files. What Prometheus reads: every sample has its type.
for ranks in 1 2; do
  "$THRONG" run long.yaml --set next.epochs=1 -n $ranks --backend threads --out runs/threads >/dev/null
  python3 - $ranks <<'P'
import json, re, sys
ranks = json.load(open('runs/threads/ranks.json'))
assert ranks['num_ranks'] == len(ranks['ranks']) == int(sys.argv[1]), ranks
types, samples = {}, set()
for line in open('runs/threads/metrics.prom').read().splitlines():
    if line.startswith('# TYPE '): types[line.split()[2]] = line.split()[3]
    elif not line.startswith('# HELP '):
        name, labels, value = re.fullmatch(r'(\w+)\{((?:\w+="(?:[^"\\]|\\.)*",?)+)\} (\S+)', line).groups()
        float(value)
        assert name in types and (name, labels) not in samples, line
        samples.add((name, labels))
        assert (types[name] == 'counter') == name.endswith('_total'), line
assert len({labels for name, labels in samples if name == 'throng_rank_resident_bytes'}) == int(sys.argv[1])
P
done
