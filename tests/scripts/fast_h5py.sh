#!/bin/bash
# Another program's reader: h5py reads dataset.h5 of a small run, every column type with nulls, from several part files.
. "$SOURCE/tests/support/with_python.sh" h5py numpy

$python - > events.jsonl <<'PY'
import json
for i in range(3000):
    row = {"ts": 1700000000 + i, "user": "u%d" % i, "value": i / 4, "flag": i % 2 == 0, "count": i, "tags": ["t%d" % k for k in range(i % 3)]}
    if i >= 2500:  # nulls in the last part file only
        for name in ("user", "value", "flag", "count", "tags"):
            if (i + len(name)) % 5 == 0: row[name] = None
    print(json.dumps(row))
PY
cat > job.yaml <<'YAML'
job: h5py
steps:
  events: { op: read_events, path: events.jsonl, partitions: 40, types: { count: int32, "ctr%/day": float32 }, map: { "ctr%/day": value, value: value } }
  tokens: { op: derive, from: events, columns: { big: "count * 1000000000000", half: "value / 2", small: "int(value)", name: "'名' + user" } }
YAML
"$THRONG" run job.yaml -n 3 --backend threads --out run --json > /dev/null

$python - <<'PY'
import h5py, json
import numpy as np
f = h5py.File("run/steps/tokens/data/dataset.h5")
expected = [json.loads(line) for line in open("events.jsonl")]
n = len(expected)
def null(name): return np.array([e[name] is None for e in expected])
def check(path, values, dtype, name=None):
    assert f[path].dtype == dtype, (path, f[path].dtype)
    values = np.array(values, dtype=dtype)
    assert f[path].shape == values.shape and (f[path][:] == values).all(), path
    if name: assert (f[path + ".valid"][:] == ~null(name)).all(), path + ".valid"
def strings(column):
    lengths, text = f[column + "/lengths"][:], bytes(f[column + "/bytes"][:])
    ends = np.cumsum(lengths)
    return [text[e - l:e].decode() for e, l in zip(ends, lengths)]
check("ts", [e["ts"] * 1000000 for e in expected], "i8")
assert "ts.valid" not in f
check("flag", [bool(e["flag"]) for e in expected], "u1", "flag")
check("count", [e["count"] or 0 for e in expected], "i4", "count")
check("value", [e["value"] or 0 for e in expected], "f8", "value")
check("ctr%%2Fday", [e["value"] or 0 for e in expected], "f4", "value")
check("big", [(e["count"] or 0) * 10**12 for e in expected], "i8", "count")
check("half", [(e["value"] or 0) / 2 for e in expected], "f8", "value")
check("small", [int(e["value"] or 0) for e in expected], "i8", "value")
assert strings("user") == [e["user"] or "" for e in expected]
assert (f["user/valid"][:] == ~null("user")).all()
assert strings("name") == ["名" + e["user"] if e["user"] else "" for e in expected]
words, rows, at = strings("tags"), [], 0
for count in f["tags/counts"][:]:
    rows.append(words[at:at + count])
    at += count
assert rows == [e["tags"] or [] for e in expected] and at == len(words)
assert (f["tags/valid"][:] == ~null("tags")).all()
types = {k: v.attrs["type"].decode() for k, v in f.items() if "type" in v.attrs}
assert types["tags"] == "list<string>" and types["ts"] == "timestamp" and types["flag"] == "bool", types
parts = {s.file_name for s in f["ts"].virtual_sources()}
assert len(parts) == 3, parts
print("h5py agrees on %d rows of %d columns from %d part files" % (n, len(types), len(parts)))
PY

# One file from all ranks holds what the dataset holds.
"$THRONG" export run/steps/tokens/data --to one.h5 > /dev/null
"$THRONG" export run/steps/tokens/data --to three.h5 -n 3 --backend threads > /dev/null
$python "$SOURCE/tests/support/same_arrays.py" run/steps/tokens/data/dataset.h5 one.h5 three.h5
