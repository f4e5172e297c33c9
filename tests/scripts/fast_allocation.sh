#!/usr/bin/env bash
# What a batch script runs, with programs that stand for Slurm's: another allocation by requeue, by a dependent job, for one of an array, from an sbatch that gives
# no answer; none after scancel, for a run that was submitted again, or behind one that failed.
set -euo pipefail
trap 'echo "failed at line $LINENO"; tail -n 20 ./*.log runs/*/submission.log calls 2>/dev/null' ERR
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cd "$work"
. "$SOURCE/tests/support/submissions.sh"
"$THRONG" generate behaviour --users 100 --events 5000 --seed 5 --out events.jsonl >/dev/null
cat >job.yaml <<'Y'
job: long
steps:
  events: { op: read_events, path: events.jsonl }
  parts:  { op: split, from: events }
  next:   { op: train_sequence, from: parts, epochs: 300, hidden: 16, checkpoint_every: 5 }
Y
mkdir bin
echo 'requeue: dependent' >dependent.yaml
fake() { printf '#!/bin/sh\necho "%s $*" >>%s/calls\n%s\n' "$1" "$work" "$2" >"bin/$1"; chmod +x "bin/$1"; }
export PATH="$work/bin:$PATH" THRONG_SLURM_TIMEOUT=1 THRONG_SITE=
slurm() {  # sbatch's next id; what scontrol requeue and scontrol show say
  fake sbatch "echo $1"
  fake scontrol "case \$1 in requeue) ${2:-exit 0};; *) echo 'JobId=1 JobState=RUNNING Reason=${3:-None} PreemptTime=None ';; esac"
  fake squeue "case \"\$*\" in *%L*) echo 30:00;; *) echo 'RUNNING|None|n1';; esac"
  fake sacct 'exit 1'
  fake scancel 'exit 0'
  : >calls
}
name() { python3 -c 'import json, sys; print(json.load(open(sys.argv[1] + "/submission.json"))["name"])' "$1"; }
go() {  # run, variables of Slurm: one allocation in the background
  env SLURM_JOB_NODELIST=n1 SLURM_JOB_NUM_NODES=1 "${@:2}" "$THRONG" allocation --name "$(name "$1")" "$1" >>"$1/submission.log" 2>&1 &
  batch=$!
}
ends() { code=0; wait $batch || code=$?; [ $code = "$1" ] || { echo "exit code $code, not $1"; return 1; }; }
under_way() { for _ in $(seq 600); do [ -e "$1/steps/next/state/checkpoint.h5" ] && grep -q running "$1/submission.json" && return; sleep 0.05; done; echo "$1: no checkpoint"; exit 1; }
begin() {  # folder, further flags: submitted as job 100, and going
  "$THRONG" submit job.yaml --on slurm -n 2 --no-estimate --out "runs/$1" "${@:2}" >submit.log
}
called() { grep -q -- "$1" calls || { echo "not called: $1"; cat calls; exit 1; }; }
not_called() { ! grep -q -- "$1" calls || { echo "called: $1"; cat calls; exit 1; }; }
"$THRONG" run job.yaml --out whole >/dev/null
hashes whole >want

# USR1: the same job again, and the same result.
slurm 100; begin requeued; called '--job-name=throng-long-'
go "$PWD/runs/requeued" SLURM_JOB_ID=100; under_way runs/requeued; kill -USR1 $batch; ends 75
called 'scontrol requeue 100'; [ "$(state runs/requeued)" = running ] || [ "$(state runs/requeued)" = queued ]
[ "$(field runs/requeued requeues)" = 1 ]
go "$PWD/runs/requeued" SLURM_JOB_ID=100 SLURM_RESTART_COUNT=1; ends 0
[ "$(state runs/requeued)" = done ] && [ "$(allocations runs/requeued)" = 2 ]
hashes runs/requeued | diff want -

# Requeue refused: a job behind this one, under a name of its own.
slurm 100; begin dependent
slurm 101 "echo 'Requested operation is presently disabled for job 100' >&2; exit 1"
go "$PWD/runs/dependent" SLURM_JOB_ID=100; under_way runs/dependent; kill -USR1 $batch; ends 75
called 'sbatch --parsable --job-name=throng-long-.*\..* --dependency=afterany:100'
[ "$(field runs/dependent id)" = 101 ]
go "$PWD/runs/dependent" SLURM_JOB_ID=101; ends 0
hashes runs/dependent | diff want -

# A controller that is away for a moment is asked again.
slurm 100 "[ -e asked ] && exit 0; touch asked; echo 'slurm_requeue error: Unable to contact slurm controller (connect failure)' >&2; exit 1"; begin away
go "$PWD/runs/away" SLURM_JOB_ID=100; under_way runs/away; kill -USR1 $batch; ends 75
[ "$(grep -c 'scontrol requeue' calls)" = 2 ]; not_called dependency

# One of an array: its own index, and a job that is another than this and its siblings, found by name since sbatch gives no answer.
slurm 100; begin sweep --array --set next.hidden=16,8 --site dependent.yaml
fake sbatch 'sleep 30'
fake squeue 'case "$*" in *%L*) echo 30:00;; *%F*) case "$*" in *--name=throng-long-*.*) echo 205;; *) echo 100;; esac;; esac'
go "$PWD/runs/sweep/1" SLURM_JOB_ID=117 SLURM_ARRAY_JOB_ID=100 SLURM_ARRAY_TASK_ID=1; under_way runs/sweep/1; kill -USR1 $batch; ends 75
called 'sbatch .*--dependency=afterany:100_1 --array=1'
[ "$(field runs/sweep/1 id)" = 205_1 ]

# TERM in the middle of the time is somebody's wish: nothing is asked for.
slurm 100; begin ended
go "$PWD/runs/ended" SLURM_JOB_ID=100; under_way runs/ended; kill -TERM $batch; ends 75
not_called 'scontrol requeue'; not_called dependency
grep -q 'ended from outside' runs/ended/submission.json
grep -q 'stopped at a checkpoint' runs/ended/run.log

# TERM since the time is up.
slurm 100 '' TimeLimit; begin time_up
go "$PWD/runs/time_up" SLURM_JOB_ID=100; under_way runs/time_up; kill -TERM $batch; ends 75
called 'scontrol requeue 100'

# The wish to cancel comes before the wish to go on.
slurm 100; begin cancelled
go "$PWD/runs/cancelled" SLURM_JOB_ID=100; under_way runs/cancelled
fake scancel "case \"\$*\" in *USR1*) kill -USR1 $batch;; esac"
"$THRONG" cancel runs/cancelled >cancel.log; ends 75
[ "$(state runs/cancelled)" = cancelled ]
called 'scancel --batch --signal=USR1 100'; not_called 'scontrol requeue'

# A job that was thought lost, for a run that was submitted again: nothing.
slurm 100; begin twice; old=$(name runs/twice)
fake squeue "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1"; fake scontrol 'exit 1'
slurm_gone=$("$THRONG" status runs/twice); grep -q 'failed' <<<"$slurm_gone"; grep -q 'does not know job 100 any more' <<<"$slurm_gone"
slurm 102; "$THRONG" submit runs/twice >submit.log
SLURM_JOB_ID=100 "$THRONG" allocation --name "$old" runs/twice >twice.log 2>&1
grep -q 'was submitted again' twice.log
[ "$(allocations runs/twice)" = 0 ] && [ ! -e runs/twice/state.json ]

# Behind a job that died without a word: told, and not waited for.
slurm 103; "$THRONG" submit job.yaml --on slurm --no-estimate --out runs/behind --after runs/twice >submit.log
called 'sbatch'; grep -q -- '--dependency=afterany:102' runs/behind/submission.sh
fake squeue "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1"; fake scontrol 'exit 1'
go "$PWD/runs/behind" SLURM_JOB_ID=103; ends 4
"$THRONG" status runs/behind | grep -q 'the run that it was to follow is failed'
# Behind one that goes on in another job: so does this one.
slurm 104; "$THRONG" submit runs/twice >submit.log; slurm 105; "$THRONG" submit runs/behind --after runs/twice >submit.log; slurm 106
go "$PWD/runs/behind" SLURM_JOB_ID=105; ends 75
called '--dependency=afterany:104'
[ "$(field runs/behind id)" = 106 ]

# Outside of Slurm it says so.
code=0; "$THRONG" allocation --name "$(name runs/twice)" runs/twice >out.log 2>&1 || code=$?
[ $code = 2 ] && grep -q 'this is no job of Slurm' out.log
echo "an allocation ends as it should"
