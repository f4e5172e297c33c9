#!/bin/bash
# One HDF5 file written by several ranks together (collective parallel HDF5) holds what the dataset holds; a failure leaves nothing.
. "$SOURCE/tests/support/with_python.sh" h5py
"$THRONG" generate behaviour --users 100 --events 4000 --out events.jsonl > /dev/null
cat > job.yaml <<'YAML'
job: export
steps:
  events: { op: read_events, path: events.jsonl, partitions: 5 }
  tokens: { op: tokenize, from: events }
YAML
"$THRONG" run job.yaml -n 2 --out run --json > /dev/null
for ranks in 1 2 3 7; do "$THRONG" export run/steps/tokens/data --to $ranks.h5 -n $ranks > /dev/null; done
$python "$SOURCE/tests/support/same_arrays.py" run/steps/tokens/data/dataset.h5 1.h5 2.h5 3.h5 7.h5

# A part file that is damaged: its reader fails, the others do not wait inside MPI-IO.
part=$(ls run/steps/tokens/data/part-*.h5 | tail -1)
$python - "$part" <<'PY'
import h5py, sys
with h5py.File(sys.argv[1], "r+") as f:
    f["ts"][0] += 1
PY
set +e
timeout 120 "$THRONG" export run/steps/tokens/data --to broken.h5 -n 3 > out 2>&1
code=$?
set -e
[ $code = 3 ] && [ "$(grep -c '^throng' out)" = 1 ] || { echo "exit $code (124: it hung)"; cat out; exit 1; }
[ -z "$(find . -name '*broken.h5')" ] || { ls -la; exit 1; }
echo "a damaged part ends all ranks: $(head -1 out)"
