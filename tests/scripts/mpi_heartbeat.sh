#!/usr/bin/env bash
# A rank that is stopped (SIGSTOP) is silence: the run ends with one error that names it, and nothing is left behind; stopped
# rank 0 is noticed by the others. A job that is stopped as a whole for longer than --hang-timeout goes on.
set -euo pipefail
work=$(mktemp -d)
launcher=
trap '[ -z "$launcher" ] || kill -9 $launcher $(ranks) 2>/dev/null || true; rm -rf "$work"' EXIT
trap 'echo "failed at line $LINENO: $BASH_COMMAND"; cat ./*.err 2>/dev/null' ERR
cd "$work"
"$THRONG" generate behaviour --users 300 --events 30000 --seed 5 --out events.jsonl >/dev/null
cat >job.yaml <<'Y'
job: stopped
steps:
  events: { op: read_events, path: events.jsonl }
  parts:  { op: split, from: events }
  next:   { op: train_sequence, from: parts, epochs: 25, hidden: 48, checkpoint_every: 5 }
Y
ranks() { pgrep -P "$(pgrep -P "$launcher" -x mpirun)" -x throng || true; }
start() {  # run
  "$THRONG" run job.yaml -n 3 --out "$1" --hang-timeout 3s >"$1.out" 2>"$1.err" &
  launcher=$!
  for _ in $(seq 600); do [ -e "$1/steps/next/state/checkpoint.h5" ] && break; sleep 0.05; done
  [ -e "$1/steps/next/state/checkpoint.h5" ] || { echo "no checkpoint appeared"; cat "$1.err"; exit 1; }
}
rank() { for pid in $(ranks); do tr '\0' '\n' </proc/$pid/environ | grep -qx "OMPI_COMM_WORLD_RANK=$1" && echo "$pid"; done; true; }

for silent in 2 0; do
  start run$silent
  all=$(ranks)
  kill -STOP "$(rank $silent)"
  from=$SECONDS code=0
  wait $launcher || code=$?
  [ $code = 4 ] || { echo "exit code $code"; cat run$silent.err; exit 1; }
  [ $((SECONDS - from)) -le 40 ] || { echo "took $((SECONDS - from)) s to end"; exit 1; }
  grep -q "no sign of life from rank $silent on host" run$silent.err
  [ "$(grep -c '^throng:' run$silent.err)" = 1 ] || { cat run$silent.err; exit 1; }
  for pid in $all; do
    for _ in $(seq 200); do [ -e /proc/$pid ] || break; sleep 0.05; done
    [ ! -e /proc/$pid ] || { echo "rank process $pid is left"; exit 1; }
  done
  launcher=
  echo "rank $silent stopped: ended within $((SECONDS - from)) s"
done

start paused
all=$(ranks)
kill -STOP $all
sleep 5
kill -CONT $all
wait $launcher
launcher=
echo "all ranks stopped for 5 s: went on"
