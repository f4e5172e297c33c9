#!/usr/bin/env bash
# On a real Slurm: what goes wrong is told, and nothing is lost. A node that fails, scancel by hand and by throng, a killed rank, data that is bad, sbatch that refuses,
# a controller that is down, an array, and srun without MPI.
set -euo pipefail
. "$SOURCE/tests/support/own_slurm.sh"
. "$SOURCE/tests/support/short_and_long.sh" .
submit() { "$THRONG" submit "$1" --on slurm -p long --no-estimate --out "runs/$2" "${@:3}" >submit.out; }
id() { field "$1" id; }

# An array: each its own job, folder and value.
submit short.yaml sweep --array --set next.hidden=8,12,16 --at-once 2
for k in 1 2 3; do await runs/sweep/$k 'done failed'; [ "$(state runs/sweep/$k)" = done ]; grep -q "next.hidden=$((4 + 4 * k))" runs/sweep/$k/state.json; done
"$THRONG" jobs | tee jobs.out | grep -cq 'Slurm job [0-9]*_[123]'

# Bad data: the step, the line and the value; the exit code.
{ cat events.jsonl; echo '{"user": "a", "ts": "yesterday", "action": "x", "text": "x", "item": "x"}'; } >bad.jsonl
submit short.yaml bad --set events.path=bad.jsonl -n 2
await runs/bad failed
"$THRONG" status runs/bad | grep -q "step 'events' (read_events): .*bad.jsonl:5001"
[ "$(field runs/bad code)" = 3 ]

# Cancelled by throng: at a checkpoint. A job behind it is told.
submit long.yaml cancelled -n 2
submit short.yaml behind --after runs/cancelled
under_way runs/cancelled
[ "$("$THRONG" status "$(id runs/cancelled)" --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["job"])')" = long ]
"$THRONG" cancel runs/cancelled >cancel.out
[ "$(state runs/cancelled)" = cancelled ]
grep -q 'stopped at a checkpoint' runs/cancelled/run.log
await runs/behind failed
"$THRONG" status runs/behind | grep -q 'the run that it was to follow is cancelled'

# With srun too, whose tasks TERM would kill.
echo 'start: srun' >srun.yaml
submit long.yaml srun -n 2 --site srun.yaml
under_way runs/srun
"$THRONG" cancel runs/srun >cancel.out
[ "$(state runs/srun)" = cancelled ]
grep -q 'stopped at a checkpoint' runs/srun/run.log

# Cancelled before it began: both nodes are taken.
submit long.yaml first --nodes 2   # with one rank each: two daemons of mpirun on one host would share the names of segments
submit short.yaml waits --nodes 2 -n 2
under_way runs/first
"$THRONG" status runs/waits | grep -q 'queued (Slurm: '
"$THRONG" cancel runs/waits >cancel.out
[ "$(state runs/waits)" = cancelled ]

# scancel by hand, past throng: the ranks stop, and nobody asks for another allocation.
scancel "$(id runs/first)"
await runs/first cancelled
"$THRONG" status runs/first | grep -q 'it was cancelled (Slurm: CANCELLED'
sleep 2
[ -z "$(squeue -h)" ] || { echo "it came back"; squeue; exit 1; }

# A rank is killed: the reason, the rank's signal; nothing goes on.
submit long.yaml killed -n 2
under_way runs/killed
kill -9 "$(pgrep -f "run $PWD/runs/killed/job.yaml" | tail -1)"
await runs/killed failed
"$THRONG" status runs/killed | grep -q 'was ended by signal 9'

# sbatch refuses: Slurm's words, and the run can be submitted again.
code=0; "$THRONG" submit short.yaml --on slurm -p nowhere --no-estimate --out runs/refused >refused.out 2>&1 || code=$?
[ $code = 4 ] && grep -q 'sbatch refused the job: .*invalid partition' refused.out
[ "$(state runs/refused)" = failed ]
"$THRONG" submit runs/refused -p long >submit.out
await runs/refused done

# The controller is down for a minute while a run goes on and ends: the run does not mind, status says what it knows, and submitting does not lie.
submit long.yaml controller -n 2
under_way runs/controller
kill -STOP "$(cat slurm/slurmctld.pid)"
down=$SECONDS
export THRONG_SLURM_TIMEOUT=2
"$THRONG" status runs/controller | grep -q 'running (as last written; Slurm does not answer: no answer in time)'
code=0; "$THRONG" submit short.yaml --on slurm --no-estimate --out runs/lost >lost.out 2>&1 || code=$?
[ $code = 4 ] && grep -q 'squeue shows no job named' lost.out
unset THRONG_SLURM_TIMEOUT
while [ $((SECONDS - down)) -lt 60 ]; do sleep 0.5; done
"$THRONG" status runs/controller | grep -q 'step .next' || "$THRONG" status runs/controller | grep -q 'next *train_sequence *running'
kill -CONT "$(cat slurm/slurmctld.pid)"
"$THRONG" submit runs/lost -p long >submit.out   # whatever became of the first, the run is done once
await runs/lost 'done failed'
[ "$(state runs/lost)" = done ] && [ "$(allocations runs/lost)" = 1 ]
"$THRONG" cancel runs/controller >cancel.out
[ "$(state runs/controller)" = cancelled ]

# srun without MPI would do the whole run in each task.
code=0; srun -p long -n 2 "$THRONG" run short.yaml --out runs/singletons >srun.out 2>&1 || code=$?
[ $code != 0 ] && grep -q 'srun started 2 tasks, but no MPI' srun.out && [ ! -e runs/singletons ]

# A node fails: its slurmd and all that it started are gone. Slurm puts the job back into the queue, and it goes on on the other node.
submit short.yaml node --set next.epochs=4000 -n 2
under_way runs/node
node=$(squeue -h -j "$(id runs/node)" -o %N); pid=$(cat "slurm/slurmd-$node.pid")
victims=$(pgrep -f "slurmstepd: \[$(id runs/node)\.|$PWD/runs/node" || true)
kill -9 "$pid" $victims 2>/dev/null || true
scontrol update NodeName="$node" State=DOWN Reason=test
await runs/node 'done failed' 300
"$THRONG" status runs/node >node.out
[ "$(state runs/node)" = done ] && [ "$(allocations runs/node)" = 2 ] || { cat node.out; exit 1; }
grep -q 'killed' node.out
"$THRONG" run short.yaml --set next.epochs=4000 --out whole >/dev/null
hashes whole | diff - <(hashes runs/node)
echo "failures are told, and nothing is lost"
