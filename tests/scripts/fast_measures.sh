#!/bin/bash
# evaluate against scikit-learn: classes, scores and numbers, on 1 and 3 ranks.
. "$SOURCE/tests/support/with_python.sh" sklearn
$python - <<'PY'
import random
random.seed(11)
with open("p.csv", "w") as f:
    f.write("ts,actual,predicted,p,y,g\n")
    for i in range(3000):
        actual = random.choice("aaabbcd")
        predicted = actual if random.random() < 0.7 else random.choice("abcde")
        p = min(1, max(0, round(random.gauss(0.6 if actual == "a" else 0.4, 0.25), 3)))
        y = random.gauss(10, 3)
        f.write(f"{1700000000 + i},{actual},{predicted},{p},{y:.5f},{y + random.gauss(0.2, 1):.5f}\n")
PY
cat >job.yaml <<'Y'
job: j
steps:
  p: { op: read_events, path: p.csv, partitions: 9, types: { p: float64, y: float64, g: float64 } }
  classes: { op: evaluate, from: p, score: p, positive: a }
  numbers: { op: evaluate, from: p, actual: y, predicted: g }
Y
for ranks in 1 3; do
  "$THRONG" run job.yaml -n $ranks --out run$ranks --no-estimate >/dev/null
  for step in classes numbers; do "$THRONG" export run$ranks/steps/$step/data --to $step$ranks.jsonl >/dev/null; done
done
cmp classes1.jsonl classes3.jsonl && cmp numbers1.jsonl numbers3.jsonl
$python - <<'PY'
import csv, json
from sklearn import metrics
rows = list(csv.DictReader(open("p.csv")))
actual, predicted = [r["actual"] for r in rows], [r["predicted"] for r in rows]
p, positive = [float(r["p"]) for r in rows], [r["actual"] == "a" for r in rows]
y, g = [float(r["y"]) for r in rows], [float(r["g"]) for r in rows]
ours = {(r["measure"], r.get("class")): r["value"] for name in ("classes", "numbers") for r in map(json.loads, open(f"{name}1.jsonl"))}
theirs = {("accuracy", None): metrics.accuracy_score(actual, predicted), ("auc", None): metrics.roc_auc_score(positive, p), ("brier", None): metrics.brier_score_loss(positive, p),
          ("log_loss", None): metrics.log_loss(positive, [min(1 - 1e-15, max(1e-15, x)) for x in p], eps=1e-15),
          ("mse", None): metrics.mean_squared_error(y, g), ("mae", None): metrics.mean_absolute_error(y, g), ("r2", None): metrics.r2_score(y, g)}
for kind in ("macro", "weighted", "micro"):
    for name, value in zip(("precision", "recall", "f1"), metrics.precision_recall_fscore_support(actual, predicted, average=kind, zero_division=0)):
        theirs[(f"{name}_{kind}", None)] = value
labels = sorted(set(actual) | set(predicted))
for name, values in zip(("precision", "recall", "f1"), metrics.precision_recall_fscore_support(actual, predicted, labels=labels, zero_division=0)):
    theirs.update({(name, label): value for label, value in zip(labels, values)})
assert len(theirs) == 7 + 9 + 3 * len(labels)
for key, value in theirs.items():
    assert abs(ours[key] - value) < 1e-9, (key, ours[key], value)
print(len(theirs), "measures agree")
PY
