#!/usr/bin/env bash
# A rank is killed in the middle of training: the run ends within seconds with one clear message, and --resume on another
# number of ranks ends with the same hashes as a run that nobody killed. SIGTERM stops at a checkpoint with exit code 75.
set -euo pipefail
trap 'echo "failed at line $LINENO (exit code of the run: ${code:-none})"; cat ./*.err 2>/dev/null' ERR
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cd "$work"
"$THRONG" generate behaviour --users 300 --events 30000 --seed 5 --out events.jsonl >/dev/null
cat >job.yaml <<'Y'
job: killed
steps:
  events: { op: read_events, path: events.jsonl }
  parts:  { op: split, from: events }
  tokens: { op: tokenize, from: parts }
  topics: { op: topics, from: tokens, k: 8, iterations: 60 }
  next:   { op: train_sequence, from: parts, epochs: 25, hidden: 48, checkpoint_every: 5 }
Y
hashes() { "$THRONG" inspect "$1" --json | python3 -c '
import json, sys
for name, step in sorted(json.load(sys.stdin)["steps"].items()):
    print(name, step["rows"], step["content_hash"], step["outputs"], step.get("state"))'; }
"$THRONG" run job.yaml -n 1 --out whole >/dev/null
hashes whole >want

interrupt() {  # out ranks signal target [job]: waits for a training checkpoint, then strikes
  "$THRONG" run "${5:-job.yaml}" -n "$2" --out "$1" >"$1.out" 2>"$1.err" &
  local launcher=$! victim
  for _ in $(seq 600); do [ -e "$1/steps/next/state/checkpoint.h5" ] && break; sleep 0.05; done
  [ -e "$1/steps/next/state/checkpoint.h5" ] || { echo "no checkpoint appeared"; cat "$1.err"; exit 1; }
  if [ "$4" = rank ]; then victim=$(pgrep -P "$(pgrep -P $launcher)" | tail -1); else victim=$launcher; fi
  local from=$SECONDS
  kill "-$3" "$victim"
  code=0; wait $launcher || code=$?
  [ $((SECONDS - from)) -le 20 ] || { echo "took $((SECONDS - from)) s to end"; exit 1; }
}

interrupt killed 3 9 rank
[ $code = 4 ] || { echo "exit code $code after kill -9"; cat killed.err; exit 1; }
grep -qE '(rank [0-2]|one rank) of 3 .*was ended by signal 9' killed.err
[ "$(grep -c '^throng:' killed.err)" = 1 ] || { cat killed.err; exit 1; }
[ ! -e killed/steps/next/step.json ]
"$THRONG" run job.yaml -n 2 --out killed --resume >/dev/null
hashes killed | diff want -

interrupt stopped 2 TERM launcher
[ $code = 75 ] || { echo "exit code $code after SIGTERM"; cat stopped.err; exit 1; }
grep -q 'stopped at a checkpoint' stopped.err
"$THRONG" run stopped --resume -n 4 >/dev/null
hashes stopped | diff want -

# Other models, whose state is more, or lies over the ranks; the last one is killed while a checkpoint is half written.
model() {  # file, parameters
  cat >"$1" <<Y
job: model
steps:
  events: { op: read_events, path: events.jsonl }
  parts:  { op: split, from: events, by: last }
  next:   { $2, from: parts, epochs: 8, hidden: 32, batch: 16, checkpoint_every: 1 }
Y
}
model bce.yaml 'op: sasrec, loss: bce'
model rows.yaml 'op: sasrec, sparse: true'
model gru.yaml 'op: gru4rec, loss: sampled, negatives: 20, sparse: true, optimizer: adagrad'
model bert.yaml 'op: bert4rec, sparse: true'
for name in bce rows gru bert; do
  "$THRONG" run $name.yaml -n 2 --out $name.whole >/dev/null
  hashes $name.whole >want
  interrupt $name 3 9 rank $name.yaml
  [ $code = 4 ] && [ ! -e $name/steps/next/step.json ] || { echo "$name: exit code $code after kill -9, or it was done"; cat $name.err; exit 1; }
  "$THRONG" run $name.yaml -n 5 --out $name --resume >/dev/null
  hashes $name | diff want - || { echo "$name: not what it was"; exit 1; }
done

"$THRONG" run bce.yaml -n 1 --out bce.whole >/dev/null
hashes bce.whole >want
python3 - "$THRONG" <<'P'
import glob, os, signal, subprocess, sys, time
run = subprocess.Popen([sys.argv[1], "run", "bce.yaml", "-n", "1", "--out", "written"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
folder, end = "written/steps/next/state", time.time() + 60
while run.poll() is None and time.time() < end:
    names = os.listdir(folder) if os.path.isdir(folder) else []
    if "checkpoint.h5" in names and any(n.startswith("checkpoint.h5.tmp") for n in names):
        os.killpg(run.pid, signal.SIGKILL)
        break
assert run.wait() == -signal.SIGKILL, f"it ended before it could be killed: {run.returncode}"
assert glob.glob(folder + "/checkpoint.h5.tmp*"), "the file was whole by then"
P
"$THRONG" run bce.yaml -n 4 --out written --resume >/dev/null
hashes written | diff want -
[ -z "$(ls written/steps/next/state | grep -F .tmp || true)" ] || { ls written/steps/next/state; exit 1; }
