#!/usr/bin/env bash
# throng submit in this machine's background, and status, logs, cancel, jobs: what ends well, what fails, what is killed, sweeps, chains, and what is refused.
set -euo pipefail
trap 'echo "failed at line $LINENO"; tail -n 20 ./*.out runs/*/submission.log 2>/dev/null' ERR
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cd "$work"
"$THRONG" generate behaviour --users 100 --events 5000 --seed 5 --out events.jsonl >/dev/null
job() {  # name, epochs
  cat <<Y
job: $1
steps:
  events: { op: read_events, path: events.jsonl }
  parts:  { op: split, from: events }
  next:   { op: train_sequence, from: parts, epochs: $2, hidden: 16, checkpoint_every: 5 }
Y
}
job short 3 >short.yaml
job long 100000 >long.yaml
. "$SOURCE/tests/support/submissions.sh"
refused() {  # exit code, text, words of the command line
  local code=0
  "$THRONG" "${@:3}" >refused.out 2>&1 || code=$?
  [ "$code" = "$1" ] && grep -qF -- "$2" refused.out || { echo "throng ${*:3}: exit code $code, not $1 with '$2'"; cat refused.out; exit 1; }
}

# One that ends well: the same as `throng run`, and a later change of the job file does not reach it.
"$THRONG" run short.yaml --out whole >/dev/null
"$THRONG" submit short.yaml -n 2 >submit.out
job short 4 >short.yaml
await runs/short done
hashes whole >want; hashes runs/short | diff want -
"$THRONG" logs short | grep -q 'done in'
[ "$("$THRONG" logs short --tail 1 | wc -l)" = 1 ]
"$THRONG" status short | grep -q 'train_sequence'
"$THRONG" logs -f short | grep -q 'done in'   # ends, since the run has

"$THRONG" submit short.yaml --on hosts --hosts localhost -n 2 --out runs/hosts >submit.out
await runs/hosts done
"$THRONG" run short.yaml --out whole4 >/dev/null
hashes whole4 | diff - <(hashes runs/hosts)

# One that fails: where and why.
{ cat events.jsonl; echo '{"user": "a", "ts": "yesterday", "action": "x", "text": "x", "item": "x"}'; } >bad.jsonl
"$THRONG" submit short.yaml --out runs/bad --no-estimate --set events.path=bad.jsonl >submit.out
await runs/bad failed
"$THRONG" status runs/bad | grep -q 'bad.jsonl:5001'
[ "$(field runs/bad code)" = 3 ]

# Cancelled at a checkpoint; submitted again it goes on.
# Cancelled while mpirun starts its ranks, who hear of it all the same.
"$THRONG" submit long.yaml --no-estimate -n 2 --out runs/early >submit.out
python3 - <<'P'
import json
while json.load(open('runs/early/submission.json'))['state'] != 'running': pass
P
"$THRONG" cancel runs/early --wait 0 >cancel.out
await runs/early cancelled

"$THRONG" submit long.yaml --no-estimate -n 2 --out runs/cancelled >submit.out
under_way runs/cancelled
refused 2 'is running already' submit long.yaml --no-estimate --out runs/cancelled
"$THRONG" cancel runs/cancelled >cancel.out
grep -q 'is cancelled' cancel.out
[ "$(state runs/cancelled)" = cancelled ]
grep -q 'stopped at a checkpoint' runs/cancelled/run.log
"$THRONG" cancel runs/cancelled | grep -q 'already'
"$THRONG" submit runs/cancelled >submit.out
await runs/cancelled running

# Killed: nothing outlives the one that saw to it, and status says what happened.
id=$(field runs/cancelled id); pid=$(cut -d: -f2 <<<"$id")
for _ in $(seq 100); do [ -n "$(pgrep -P "$pid")" ] && break; sleep 0.1; done
launcher=$(pgrep -P "$pid"); ranks=$(pgrep -P "$launcher" | tr '\n' ' ')
kill -9 "$pid"
for _ in $(seq 150); do alive=0; for p in $launcher $ranks; do kill -0 "$p" 2>/dev/null && alive=1; done; [ $alive = 0 ] && break; sleep 0.1; done
[ $alive = 0 ] || { echo "mpirun or a rank outlived the submission"; exit 1; }
await runs/cancelled failed
"$THRONG" status runs/cancelled | grep -q 'ended without a word'

# mpirun killed: the ranks end too, and the reason is told.
"$THRONG" submit long.yaml --no-estimate -n 2 --out runs/killed >submit.out
under_way runs/killed
pid=$(field runs/killed id | cut -d: -f2); launcher=$(pgrep -P "$pid"); ranks=$(pgrep -P "$launcher" | tr '\n' ' ')
kill -9 "$launcher"
await runs/killed failed
"$THRONG" status runs/killed | grep -q 'mpirun was ended by signal 9'
for _ in $(seq 100); do alive=0; for p in $ranks; do kill -0 "$p" 2>/dev/null && alive=1; done; [ $alive = 0 ] && break; sleep 0.1; done
[ $alive = 0 ] || { echo "a rank outlived mpirun"; exit 1; }

# A sweep: a run for each value, with that value; and a chain behind one of its runs.
"$THRONG" submit short.yaml --array --set next.hidden=8,12 --set next.epochs=2 --out runs/sweep >submit.out
"$THRONG" submit short.yaml --after runs/sweep/2 --out runs/behind >submit.out
await runs/sweep/1 done; await runs/sweep/2 done; await runs/behind done
for k in 1 2; do python3 - runs/sweep/$k/state.json $((4 + 4 * k)) <<'PY'
import json, sys
assert f"next.hidden={sys.argv[2]}" in json.load(open(sys.argv[1]))["overrides"], sys.argv
PY
done
"$THRONG" status runs/sweep >sweep.out
grep -q '^runs/sweep: a sweep of 2 runs, 2 done$' sweep.out
grep -q 'WITH  *next: ' sweep.out
grep -Eq '^  2 +done +next.hidden=12 +[0-9.]+' sweep.out
if grep -q 'next.epochs' sweep.out; then cat sweep.out; exit 1; fi
"$THRONG" status sweep | diff - sweep.out
"$THRONG" status runs/sweep --json | python3 -c '
import json, sys
rows = json.load(sys.stdin)["sweep"]
result = json.load(open("runs/sweep/2/steps/next/step.json"))["metrics"]["result"]
assert [r["set"] for r in rows] == [["next.hidden=8", "next.epochs=2"], ["next.hidden=12", "next.epochs=2"]], rows
assert rows[1]["results"]["next: log_loss model"] == result["log_loss"]["model"] and rows[0]["state"] == "done", rows'
[ "$(hashes runs/sweep/1 | grep '^next ')" != "$(hashes runs/sweep/2 | grep '^next ')" ]
python3 - <<'PY'
import json
second, behind = (json.load(open(f"runs/{run}/submission.json"))["allocations"] for run in ("sweep/2", "behind"))
assert second[0]["ended"] <= behind[0]["started"], (second, behind)
PY
"$THRONG" jobs >jobs.out
[ "$(grep -c ' done ' jobs.out)" = 5 ] || { cat jobs.out; exit 1; }
"$THRONG" jobs --json | python3 -c 'import json, sys; assert len(json.load(sys.stdin)) == 9'

# Behind one that is still to fail.
"$THRONG" submit long.yaml --no-estimate --out runs/first >submit.out
"$THRONG" submit short.yaml --after runs/first --out runs/never >submit.out
under_way runs/first
[ "$(state runs/never)" = queued ]
"$THRONG" cancel runs/first >cancel.out
await runs/never failed
"$THRONG" status runs/never | grep -q 'the run that it was to follow is cancelled'

# Submitted again with other settings: those that are given change, the others stay.
"$THRONG" submit runs/short --checkpoint-every 7m --memory 300MiB --threads 2 >submit.out
await runs/short done
"$THRONG" submit runs/short --checkpoint-every 8m >submit.out
await runs/short done
python3 - <<'PY'
import json
request = json.load(open("runs/short/submission.json"))["request"]
words = request["run"]
assert words.count("--checkpoint-every") == 1 and words[words.index("--checkpoint-every") + 1] == "8m", words
assert words[words.index("--memory") + 1] == "300MiB" and request["threads"] == 2 and request["ranks_per_node"] == 2, request
PY

# One of a sweep is cancelled while another runs, and submitted again: it is run once.
"$THRONG" submit long.yaml --no-estimate --array --set next.hidden=8,12 --out runs/two >submit.out
under_way runs/two/1
"$THRONG" cancel runs/two/2 >cancel.out
[ "$(state runs/two/2)" = cancelled ]
"$THRONG" submit runs/two/2 --no-estimate >submit.out
under_way runs/two/2
"$THRONG" cancel runs/two/1 >cancel.out   # its process now comes to the second, which is another's
sleep 1
[ "$(state runs/two/2)" = running ] && [ "$(allocations runs/two/2)" = 1 ]
grep -q 'was submitted again' runs/two/2/submission.log
"$THRONG" cancel runs/two/2 >cancel.out

# Submitted twice at once: one of them is told.
for k in 1 2 3; do ("$THRONG" submit short.yaml --no-estimate --out runs/twice >"twice$k.out" 2>&1 || true) & done; wait
[ "$(cat twice?.out | grep -c '^started')" -ge 1 ]
await runs/twice done
[ "$(allocations runs/twice)" = 1 ]

# With --new what has been submitted once is not submitted again, done or not.
refused 2 'a run was submitted here before' submit short.yaml --new --out runs/twice
[ "$(allocations runs/twice)" = 1 ]
refused 2 '--new is of a run that begins' submit runs/twice --new
"$THRONG" submit short.yaml --new --out runs/new >submit.out
await runs/new done

# Refused before anything is written.
refused 2 "unknown parameter" submit short.yaml --set next.hiden=3 --out runs/none
refused 2 'is for --on slurm' submit short.yaml --time 1h --out runs/none
refused 2 'is for --on hosts' submit short.yaml --hosts a,b --out runs/none
refused 2 '--on hosts needs' submit short.yaml --on hosts --out runs/none
refused 2 'no --set has several values' submit short.yaml --array --out runs/none
refused 2 'shorter --signal-before' submit short.yaml --on slurm --time 3m --out runs/none
refused 2 'expected at least 60s' submit short.yaml --on slurm --time 5s --out runs/none
refused 2 'that run is cancelled' submit short.yaml --after runs/first --out runs/none
refused 2 'no submission' status nothing
refused 2 'is a sweep' logs runs/sweep
refused 2 "--checkpoint-every is 'often'" submit short.yaml --checkpoint-every often --out runs/none
refused 2 "--hang-timeout is 'never'" submit short.yaml --hang-timeout never --out runs/none
refused 2 'expected words' submit short.yaml --mpi-args "'x" --out runs/none
refused 2 'expected names such as' submit short.yaml --on hosts --hosts a,,b --out runs/none
refused 2 'control character' submit short.yaml --out $'runs/no\nne'
refused 2 'goes on as it was' submit runs/short --set next.epochs=3
[ ! -e runs/none ]
THRONG_SITE= "$THRONG" submit short.yaml --on slurm --dry-run --nodes 2 -n 4 --out runs/none >dry.out
grep -q '^#SBATCH --ntasks-per-node=4' dry.out
[ ! -e runs/none ]

# The plan beside the request: time, memory of a node.
"$THRONG" submit short.yaml --set next.epochs=10000 --on slurm --dry-run --time 1m --signal-before 10s --out runs/none >dry.out 2>warnings.out
grep -qE 'ask for --time|cannot be foretold' warnings.out
"$THRONG" submit short.yaml --on slurm --dry-run --memory-per-node 8MiB --out runs/none >dry.out 2>warnings.out
grep -q 'ask for --memory-per-node' warnings.out

# Started by srun without MPI, each task would do the whole run.
SLURM_STEP_NUM_TASKS=2 refused 4 'srun started 2 tasks' run short.yaml --out runs/none
# In a batch script, one rank where Slurm gave several tasks.
SLURM_NTASKS=4 refused 4 'Slurm gave this job 4 tasks' run short.yaml --out runs/none
# No Slurm here.
if ! command -v sbatch >/dev/null; then
  refused 4 'sbatch cannot be started' submit short.yaml --on slurm --out runs/noslurm
  [ "$(state runs/noslurm)" = failed ]
fi
echo "submissions do what they say"
