#!/usr/bin/env bash
# On a real Slurm: a run that needs several allocations ends with the hashes of one that nobody interrupted, however it gets them: by requeue, by a
# dependent job, started by mpirun or srun, warned by USR1 or by TERM alone. One that gets nowhere ends with an error that says what is too long.
set -euo pipefail
. "$SOURCE/tests/support/own_slurm.sh"
"$THRONG" generate behaviour --users 300 --events 30000 --seed 5 --out events.jsonl >/dev/null
cat >job.yaml <<'Y'
job: long
steps:
  events: { op: read_events, path: events.jsonl }
  parts:  { op: split, from: events }
  tokens: { op: tokenize, from: parts }
  topics: { op: topics, from: tokens, k: 8, iterations: 60 }
  next:   { op: train_sequence, from: parts, epochs: 1000, hidden: 48, checkpoint_every: 5 }
Y
printf 'leave_out: [signal]\nrequeue: dependent\n' >no_signal.yaml
echo 'start: srun' >srun.yaml
echo 'requeue: dependent' >dependent.yaml
echo 'requeue: never' >never.yaml
echo 'setup: ["sleep 25"]' >slow.yaml
echo '{}' >plain.yaml

# A minute each, of which the ranks have about twenty seconds; two nodes of one rank, or one of two.
submit() { "$THRONG" submit "$1" --on slurm --time 1m --signal-before 40s --no-estimate --out "runs/$2" "${@:3}" >submit.out; }
submit job.yaml requeued --nodes 2
submit job.yaml no_signal --site no_signal.yaml
await runs/requeued 'done failed' 600
await runs/no_signal 'done failed' 600
submit job.yaml dependent --site dependent.yaml
submit job.yaml srun -n 2 --site srun.yaml --after runs/dependent
submit job.yaml never --site never.yaml
submit job.yaml bounded --max-requeues 1
await runs/never 'stopped' 300
[ "$(field runs/never code)" = 75 ]
await runs/bounded 'failed' 300
"$THRONG" status runs/bounded | grep -q 'as often as --max-requeues allows'
# Nothing new is kept in two allocations, since the job's own lines take all the time: the step and the time are named.
"$THRONG" submit runs/bounded --max-requeues 20 --site slow.yaml --signal-before 50s >submit.out
await runs/bounded 'failed' 300
"$THRONG" status runs/bounded | tee nowhere.out | grep -q "step 'next' (train_sequence): 2 allocations of 1m in a row ended before anything new was kept"
grep -q 'ask for more --time than 1m' nowhere.out
"$THRONG" submit runs/bounded --site plain.yaml --signal-before 40s >submit.out   # goes on where it was
await runs/dependent 'done failed' 600
await runs/srun 'done failed' 600
await runs/bounded 'done failed' 600
"$THRONG" run job.yaml -n 2 --out whole >/dev/null
hashes whole >want
for run in requeued no_signal dependent srun bounded; do
  [ "$(state runs/$run)" = done ] || { echo "$run did not end well"; "$THRONG" status runs/$run; exit 1; }
  hashes runs/$run | diff want - || { echo "$run has other results"; exit 1; }
  echo "$run: $(allocations runs/$run) allocations"
done
for run in requeued dependent; do [ "$(allocations runs/$run)" -ge 3 ] || { echo "$run needed only $(allocations runs/$run) allocations: make the job longer"; exit 1; }; done
[ "$(squeue -h | wc -l)" = 0 ]

pgrep -f "allocation $work" && { echo "something goes on"; exit 1; }
echo "a run goes on over allocations"
