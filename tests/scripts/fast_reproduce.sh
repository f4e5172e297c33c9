#!/usr/bin/env bash
# Every recipe runs on a small file of its data's format, says what came out, and says by its exit code whether that is what was published.
set -uo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cd "$work"
python3 - <<'PY'
import random
random.seed(5)
lines = [[str(u + 1)] + [str(1 + (u * 7 + i) % 30) for i in range(random.randrange(5, 15))] for u in range(40)]
open("lines.txt", "w").write("".join(" ".join(l) + "\n" for l in lines))
open("pairs.txt", "w").write("".join(f"{l[0]} {item}\n" for l in lines for item in l[1:]))
ratings = [(u, i, 1 + (u * i + random.randrange(2)) % 5) for u in range(30) for i in range(20) if random.random() < 0.6]
open("table.tsv", "w").write("user_id:token\titem_id:token\trating:float\ttimestamp:float\n" + "".join(f"{u}\t{i}\t{r}\t{880000000 + u * 100 + i}\n" for u, i, r in ratings))
PY
fail() { echo "FAIL: $*"; exit 1; }
"$THRONG" reproduce >list || fail "no list"
names=$(for path in "$SOURCE"/jobs/recipes/*.yaml; do basename "$path" .yaml; done)
[ -n "$names" ] || fail "no recipes"
for name in $names; do
  grep -q "^$name " list || fail "$name is not listed"
  "$THRONG" reproduce "$name" --show | cmp - "$SOURCE/jobs/recipes/$name.yaml" || fail "$name is shown otherwise"
  case $(grep "  data:" "$SOURCE/jobs/recipes/$name.yaml") in *"a line for each user"*) data=lines.txt ;; *"a line for each row"*) data=pairs.txt ;; *) data=table.tsv ;; esac
  case $name in popular_*) few=() ;; *) few=(--set model.epochs=1) ;; esac
  "$THRONG" reproduce "$name" --data $data --seeds 2 "${few[@]}" --json >$name.json; code=$?
  python3 - $name.json $code <<'PY' || fail "$name"
import json, sys
r = json.load(open(sys.argv[1]))
assert r["reached"] == all(f["reached"] for f in r["figures"].values())
assert int(sys.argv[2]) == (0 if r["reached"] else 1), sys.argv
assert r["source"] and r["protocol"] and r["figures"]
for name, f in r["figures"].items():
    values = list(f["runs"].values())
    assert len(values) in (2, 6) and abs(sum(values) / len(values) - f["mean"]) < 1e-12, name
    good = f["mean"] >= f["published"] - f["within"] if f["better"] == "higher" else f["mean"] <= f["published"] + f["within"]
    assert f["reached"] == good, name
PY
done
# Finished runs are kept; on other ranks the figures are the same.
"$THRONG" reproduce popular_lastfm --data lines.txt --json >/dev/null; code=$?
"$THRONG" reproduce popular_lastfm --data lines.txt -n 2 --out two --json >two.json 2>err; [ $? = $code ] || fail "another exit code on 2 ranks"
[ ! -s err ] || { cat err; fail "an error on 2 ranks"; }
python3 -c 'import json; a, b = (json.load(open(f))["figures"] for f in ("popular_lastfm.json", "two.json")); assert all(a[k]["runs"]["seed 1"] == b[k]["runs"]["seed 1"] for k in a), (a, b)' || fail "other figures on 2 ranks"
# A recipe of one's own; and what is wrong with one.
sed 's/published: 0.044,/published: 0.99,/' "$SOURCE/jobs/recipes/popular_lastfm.yaml" >own.yaml
for ranks in 1 2; do "$THRONG" reproduce own.yaml --data lines.txt -n $ranks >out 2>err; [ $? = 1 ] && [ ! -s err ] || { cat err; fail "a figure that is not reached, on $ranks ranks"; }; done
grep -q "NOT REACHED" out || fail "no word of it"
expect() { "$THRONG" reproduce "${@:3}" >out 2>err; [ $? = "$1" ] && grep -q -- "$2" err || { cat err; fail "$*"; }; }
expect 2 "did you mean 'popular_lastfm'" popular_lastfn --data lines.txt
expect 2 "needs --data" popular_lastfm
expect 3 "no such file" popular_lastfm --data none.txt
expect 3 "not a file" popular_lastfm --data .
sed '/^reproduces:/,/^steps:/{/^steps:/!d}' own.yaml >plain.yaml
expect 2 "is no recipe" plain.yaml --data lines.txt
sed 's/value: hr.10/value: hr.7/' own.yaml >other.yaml
expect 2 "has no 'hr.7'" other.yaml --data lines.txt
sed 's/step: model/step: modell/' own.yaml >other.yaml
expect 2 "the job has no step 'modell'" other.yaml --data lines.txt
sed '/^    HR@10/d; /^    NDCG@10/d' own.yaml >other.yaml
expect 2 "has no 'figures:'" other.yaml --data lines.txt
"$THRONG" run own.yaml --set lines.path=lines.txt --out plain >/dev/null || fail "a recipe is a job"
