#!/usr/bin/env bash
# Benchmarks against single-purpose peers, both in one run on the same input.
# usage: tests/bench/run.sh first|flow [--small] [--case NAME] --json OUT   (installs the peers: gensim, PyTorch, DuckDB)
#   first: word2vec lda lstm group_by      flow: load q1 q2 q4 sort, on generated events of the comparison kit ($THRONG_BENCH/flow/gen_events.cpp)
# OUT is a list of {case, system, seconds, ratio, equal, conditions}; ratio is the peer's time over Throng's. Needs a quiet machine.
set -euo pipefail
cd "$(dirname "$0")/../.."
family=${1:-}; shift || true
[ "$family" = first ] || [ "$family" = flow ] || { echo "usage: tests/bench/run.sh first|flow [--small] [--case NAME] --json OUT" >&2; exit 2; }
small=0 out= case=all
while [ $# -gt 0 ]; do case $1 in --small) small=1;; --json) out=$2; shift;; --case) case=$2; shift;; *) echo "unknown: $1" >&2; exit 2;; esac; shift; done
[ -n "$out" ] || { echo "--json OUT is missing" >&2; exit 2; }
.ci/install_packages run bench
command -v npm >/dev/null || .ci/install_packages npm
cmake --preset release >/dev/null && cmake --build --preset release --target throng >/dev/null
work=build/bench; mkdir -p $work
[ -d $work/node_modules/@duckdb/node-api ] || (cd $work && npm init -y >/dev/null && npm install --no-fund --no-audit @duckdb/node-api >/dev/null)
if [ "$family" = flow ]; then
  kit=${THRONG_BENCH:-}/flow
  [ -f "$kit/gen_events.cpp" ] || { echo "the comparison kit is missing: set THRONG_BENCH to its folder" >&2; exit 2; }
  data=$work/flow_data size="20000000 1000000 200000"; [ $small = 0 ] || size="2000000 100000 20000"
  if [ "$(cat $data/size 2>/dev/null)" != "$size" ]; then
    mkdir -p $data
    g++ -O2 -w -o $work/gen_events "$kit/gen_events.cpp" && g++ -O2 -w -std=c++20 -o $work/tocsv "$kit/tocsv.cpp"
    $work/gen_events $data $size >/dev/null && $work/tocsv $data
    echo "$size" >$data/size
  fi
  exec /usr/bin/python3 tests/bench/flow.py build/release/bin/throng $work $small "$out" "$case"
fi
events=300000; [ $small = 0 ] || events=40000
python3 examples/quickstart/changelogs_to_events.py $work/uploads.jsonl >/dev/null || build/release/bin/throng generate behaviour --events 50000 --out $work/uploads.jsonl >/dev/null
build/release/bin/throng generate behaviour --users 2000 --events $events --seed 9 --out $work/events.jsonl >/dev/null
exec /usr/bin/python3 tests/bench/first.py build/release/bin/throng $work $small "$out" "$case"
