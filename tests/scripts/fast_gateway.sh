#!/usr/bin/env bash
# throng serve: jobs over HTTP, checked, queued, run, watched, cancelled, resumed; what is refused; answers as openapi.json describes them; killed with -9 while jobs come in.
. "$SOURCE/tests/support/with_python.sh" jsonschema
mkdir data
"$THRONG" generate behaviour --users 100 --events 5000 --seed 5 --out data/events.jsonl >/dev/null
cat >short.yaml <<'Y'
job: short
steps:
  events: { op: read_events, path: events.jsonl }
  parts:  { op: split, from: events }
  next:   { op: train_sequence, from: parts, epochs: 3, hidden: 16, checkpoint_every: 5 }
  top:    { op: write, from: events, path: results/events.csv }
Y
sed 's/epochs: 3/epochs: 100000/; s/job: short/job: long/' short.yaml >long.yaml
"$THRONG" run short.yaml --data-root data --out whole --no-estimate >/dev/null
$python "$SOURCE/tests/support/gateway.py" "$THRONG" "$SOURCE/cluster/web/openapi.json"
