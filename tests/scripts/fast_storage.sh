#!/bin/bash
# How datasets are stored, read by h5py: strings as codes of a dictionary, gzip, chunks by size, in part files and in dataset.h5.
. "$SOURCE/tests/support/with_python.sh" h5py numpy

$python - > events.jsonl <<'PY'
import json
actions = ["浏览", "点赞和收藏", "", "purchase", "share_with_friends", "搜索"]
for i in range(120000):
    row = {"ts": 1700000000 + i, "user": "u%d" % (i * 7919 % 1000003), "action": actions[i * i // 7 % 6], "page": "/page/%d" % (i % 900), "value": i / 4, "count": i % 50}
    if i >= 90000 and i % 5 == 0: row["action"] = None
    if i % 3: row["only_first"] = "first" if i < 40000 else "x%d" % i
    print(json.dumps(row))
PY
cat > job.yaml <<'YAML'
job: storage
steps:
  events: { op: read_events, path: events.jsonl, partitions: 5, types: { count: int32, only_first: string } }
  packed: { op: write, from: events, path: packed, compression: gzip }
  packed9: { op: write, from: events, path: packed9, compression: gzip, level: 9 }
YAML
for ranks in 1 3; do "$THRONG" run job.yaml -n $ranks -t 2 --backend threads --out run$ranks --json > /dev/null; done

PYTHONPATH="$SOURCE/tests/support" $python - <<'PY'
import glob, h5py, json, os
import numpy as np
from read_strings import strings
expected = [json.loads(line) for line in open("events.jsonl")]
n = len(expected)
def check(get, rows):
    assert (get("ts")[:] == np.array([e["ts"] * 1000000 for e in rows])).all()
    assert (get("value")[:] == np.array([e["value"] for e in rows])).all()
    assert (get("count")[:] == np.array([e["count"] for e in rows])).all()
    for name in ("user", "action", "page", "only_first"):
        assert strings(get(name)) == [e.get(name) or "" for e in rows], name
    valid = get("action")["valid"][:] if "valid" in get("action") else np.ones(len(rows))
    assert (valid == np.array([e.get("action") is not None for e in rows])).all()
for folder in ("run1/steps/events/data", "run3/steps/events/data", "run1/packed", "run3/packed", "run3/packed9"):
    with h5py.File(folder + "/dataset.h5") as f:
        check(lambda name: f[name], expected)
        for coded, plain in (("action", "user"), ("page", "user"), ("only_first", "user")):
            assert "codes" in f[coded] and "codes" not in f[plain], list(f[coded])
        assert 0 < len(f["only_first/codes"]) < n  # some pieces are plain
        assert len(f["page/codes"]) == 2 * n       # 900 strings: two bytes
        assert len(f["action/codes"]) == n
    at = 0
    for part in sorted(glob.glob(folder + "/part-*.h5")):
        with h5py.File(part) as f:
            rows = len(f["ts"])
            check(lambda name: f[name], expected[at:at + rows])
            at += rows
            packed = "packed" in folder
            assert f["ts"].compression == ("gzip" if packed else None) and bool(f["ts"].shuffle) == packed
            assert f["ts"].chunks is None or f["ts"].chunks[0] * 8 <= 4 << 20, f["ts"].chunks
    assert at == n
def size(folder): return sum(os.path.getsize(x) for x in glob.glob(folder + "/*"))
sizes = [size(d) for d in ("run3/steps/events/data", "run3/packed", "run3/packed9")]
assert sizes[0] > 2 * sizes[1] > 2 * sizes[2] - 100000, sizes
print("h5py agrees on %d rows, codes and gzip; bytes plain, gzip 4, gzip 9: %s" % (n, sizes))
PY

# Rows are the same whichever way they lie.
hash() { "$THRONG" inspect "$1" --json | $python -c 'import json, sys; print(json.load(sys.stdin)["content_hash"])'; }
for folder in run3/steps/events/data run1/packed run3/packed9; do
  [ "$(hash $folder)" = "$(hash run1/steps/events/data)" ] || { echo "$folder holds something else"; exit 1; }
done
"$THRONG" inspect run3/packed --rows 0 > shown
grep -q 'on disk, gzip' shown && grep -q 'page .*dictionary of at most 900' shown && grep -q 'action .*dictionary of at most 6' shown || { cat shown; exit 1; }
! grep 'user .*dictionary' shown

# An export has plain strings.
"$THRONG" export run3/packed --to plain.h5 -n 2 --backend threads > /dev/null
"$THRONG" export run3/packed --to packed.csv > /dev/null
"$THRONG" export run1/steps/events/data --to plain.csv > /dev/null
cmp plain.csv packed.csv
PYTHONPATH="$SOURCE/tests/support" $python - <<'PY'
import h5py
from read_strings import strings
with h5py.File("plain.h5") as f, h5py.File("run1/steps/events/data/dataset.h5") as g:
    for name in ("user", "action", "page", "only_first"):
        assert "codes" not in f[name] and len(f[name + "/lengths"]) == 120000
        assert strings(f[name]) == strings(g[name]), name
PY

# Damage inside a compressed chunk is an error of the data that names file and array.
part=$(ls run3/packed/part-*.h5 | tail -1)
$python - "$part" <<'PY'
import h5py, sys
with h5py.File(sys.argv[1]) as f:
    at = f["value"].id.get_chunk_info(0).byte_offset
with open(sys.argv[1], "r+b") as f:
    f.seek(at + 100); byte = f.read(1)[0]
    f.seek(at + 100); f.write(bytes([byte ^ 1]))
PY
set +e
"$THRONG" export run3/packed --to broken.csv > out 2>&1
code=$?
set -e
[ $code = 3 ] && grep -q "part-.*h5.*'/value' cannot be read: the compressed chunk of value" out && grep -q 'hint:' out || { echo "exit $code"; cat out; exit 1; }
echo "damage is told: $(grep throng out | head -1)"
