# For scripts that submit runs; sourced: makes events.jsonl in $1, and two jobs that train on it, and write a file in their step "top": short.yaml, and long.yaml, which takes until it is cancelled.
"$THRONG" generate behaviour --users 100 --events 5000 --seed 5 --out "$1/events.jsonl" >/dev/null
cat >short.yaml <<'Y'
job: short
steps:
  events: { op: read_events, path: events.jsonl }
  parts:  { op: split, from: events }
  next:   { op: train_sequence, from: parts, epochs: 3, hidden: 16, checkpoint_every: 5 }
  top:    { op: write, from: events, path: results/events.csv }
Y
sed 's/epochs: 3/epochs: 100000/; s/job: short/job: long/' short.yaml >long.yaml
