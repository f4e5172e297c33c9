#!/usr/bin/env bash
# The gateway's page in headless Chromium: submit, faults in place, the plan, watch, cancel, resume, read the report; light and dark; 1,000 runs. Screenshots go to $SHOTS, where it is set.
command -v chromium >/dev/null && command -v chromedriver >/dev/null || { echo "skipped: chromium or chromedriver is not installed"; exit 77; }
. "$SOURCE/tests/support/with_python.sh" selenium
mkdir data
"$THRONG" generate behaviour --users 100 --events 5000 --seed 5 --out data/events.jsonl >/dev/null
cat >job.yaml <<'Y'
job: posts-and-people
steps:
  events: { op: read_events, path: events.jsonl }
  posts:  { op: filter, from: events, where: "text is not null" }
  tokens: { op: tokenize, from: posts }
  topics: { op: topics, from: tokens, k: 6, iterations: 30 }
  parts:  { op: split, from: events }
  next:   { op: train_sequence, from: parts, epochs: 1500, hidden: 16, checkpoint_every: 5 }
  report: { op: report, from: [events, topics, next] }
Y
$python "$SOURCE/tests/support/gateway_page.py" "$THRONG"
