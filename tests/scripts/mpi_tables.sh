#!/usr/bin/env bash
# A table of 410 MB is trained, judged, saved and used again by ranks that may have 389 MB each for all they do; one rank that would have it whole may not. The result is that of ranks without a limit.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 - <<'PY'
items, users = 200000, 400
order = [i * 7919 % items for i in range(items)]  # a prime: each once
with open("taken.csv", "w") as rows, open("new.csv", "w") as new:
    for out in (rows, new): print("user,item,ts", file=out)
    for i, item in enumerate(order):
        print(f"u{i % users},i{item},2026-01-{i // users // 60 // 24 + 1:02d}T{i // users // 60 % 24:02d}:{i // users % 60:02d}:00Z", file=rows)
    for i in range(60): print(f"n{i % 20},i{i},2026-02-01T00:{i:02d}:00Z", file=new)
PY
cat >job.yaml <<'Y'
job: large
steps:
  taken: { op: read_events, path: taken.csv }
  model: { op: gru4rec, from: taken, hidden: 512, max_length: 10, loss: bce, sparse: true, optimizer: sgd, epochs: 2, batch: 64, lr: 0.5, validation: false, bootstrap: 0 }
Y
limit=380000  # KiB of memory that is not a file's
limited() { (ulimit -d $limit; "$@"); }
hash_of() { "$THRONG" inspect "$1/steps/model/data" --json | grep -o '"content_hash": *"[^"]*"'; }
limited "$THRONG" run job.yaml -n 8 --no-estimate --out limited >/dev/null
weights=$(stat -c %s limited/steps/model/state/model.safetensors)
[ "$weights" -gt $((limit * 1024)) ] || { echo "FAIL: weights of $weights bytes fit the limit"; exit 1; }
! ls limited/steps/model/state/weights_* 2>/dev/null || { echo "FAIL: what judging needed is still there"; exit 1; }
"$THRONG" run job.yaml -n 3 --no-estimate --out free >/dev/null
[ "$(hash_of limited)" = "$(hash_of free)" ] || { echo "FAIL: another result within the limit"; exit 1; }
cmp limited/steps/model/state/model.safetensors free/steps/model/state/model.safetensors
# With a second number for each weight, Adagrad's, or two, Adam's, which lie over the ranks as well: 1.2 GB by ranks that may have 512 MB, since a checkpoint is written from a copy.
for optimizer in adagrad adam; do
  [ $optimizer = adagrad ] || limit=500000
  with="--set model.optimizer=$optimizer --set model.lr=0.05 --set model.epochs=1"
  limited "$THRONG" run job.yaml -n 8 --no-estimate $with --out limited2 >/dev/null
  "$THRONG" run job.yaml -n 3 --no-estimate $with --out free2 >/dev/null
  cmp limited2/steps/model/state/model.safetensors free2/steps/model/state/model.safetensors
  rm -r limited2 free2
done
limit=380000
code=0; limited "$THRONG" run job.yaml --no-estimate --out one >/dev/null 2>error || code=$?
[ $code = 4 ] && grep -q "out of memory" error && grep -q "more ranks" error || { echo "FAIL: one rank: exit $code"; cat error; exit 1; }
limited "$THRONG" apply limited new.csv --out applied >/dev/null
"$THRONG" export applied/steps/model/data --to recommended.jsonl >/dev/null
[ "$(grep -c '"recommended"' recommended.jsonl)" = 20 ] || { echo "FAIL: not 20 users were recommended to"; exit 1; }
echo "OK"
