#!/usr/bin/env bash
# Benchmarks against single-purpose peers, both in one run on the same input.
# usage: tests/bench/run.sh first [--small] [--case word2vec|lda|lstm|group_by] --json OUT   (installs the peers: gensim, PyTorch, DuckDB)
# OUT is a list of {case, system, seconds, ratio, equal, conditions}; ratio is the peer's time over Throng's. Needs a quiet machine.
set -euo pipefail
cd "$(dirname "$0")/../.."
family=${1:-}; shift || true
[ "$family" = first ] || { echo "usage: tests/bench/run.sh first [--small] [--case NAME] --json OUT" >&2; exit 2; }
small=0 out= case=all
while [ $# -gt 0 ]; do case $1 in --small) small=1;; --json) out=$2; shift;; --case) case=$2; shift;; *) echo "unknown: $1" >&2; exit 2;; esac; shift; done
[ -n "$out" ] || { echo "--json OUT is missing" >&2; exit 2; }
.ci/install_packages run bench
command -v npm >/dev/null || .ci/install_packages npm
cmake --preset release >/dev/null && cmake --build --preset release --target throng >/dev/null
work=build/bench; mkdir -p $work
[ -d $work/node_modules/@duckdb/node-api ] || (cd $work && npm init -y >/dev/null && npm install --no-fund --no-audit @duckdb/node-api >/dev/null)
events=300000; [ $small = 0 ] || events=40000
python3 examples/quickstart/changelogs_to_events.py $work/uploads.jsonl >/dev/null || build/release/bin/throng generate behaviour --events 50000 --out $work/uploads.jsonl >/dev/null
build/release/bin/throng generate behaviour --users 2000 --events $events --seed 9 --out $work/events.jsonl >/dev/null
exec /usr/bin/python3 tests/bench/first.py build/release/bin/throng $work $small "$out" "$case"
