#!/usr/bin/env bash
# Benchmarks against single-purpose peers, both in one run on the same input.
# usage: tests/bench/run.sh first|flow|shuffle|train|curves [--small] [--case NAME] [--text FILE] --json OUT   (installs the peers: gensim, PyTorch, DuckDB, Polars, Dask)
#   first: word2vec lda lstm group_by
#   flow: load q1 q2 q3 q4 q5 sort wordcount scan write start, on generated events of the comparison kit ($THRONG_BENCH/flow) and a made text
#   train: layer-lstm-64x50x128x256 .. lm-lstm-.. gru4rec-.. sasrec-.. encoder-.., one training step beside PyTorch (and the layers beside oneDNN), one thread each; ranks-lm-..: two ranks; allreduce-MIB
#   curves: the loss curve of an LSTM language model on a text (--text FILE, otherwise made) beside PyTorch's, from the same weights
#   shuffle: large blocks made, the exchange between two ranks beside bare MPI
# OUT is a list of {case, system, seconds, ratio, equal, conditions}; ratio is the system's time over Throng's. A peer that cannot be had here is
# listed with no seconds, and why. Needs a quiet machine.
set -euo pipefail
cd "$(dirname "$0")/../.."
family=${1:-}; shift || true
[[ "$family" = first || "$family" = flow || "$family" = shuffle || "$family" = train || "$family" = curves ]] || { echo "usage: tests/bench/run.sh first|flow|shuffle|train|curves [--small] [--case NAME] [--text FILE] --json OUT" >&2; exit 2; }
small=0 out= case=all text=
while [ $# -gt 0 ]; do case $1 in --small) small=1;; --json) out=$2; shift;; --case) case=$2; shift;; --text) text=$2; shift;; *) echo "unknown: $1" >&2; exit 2;; esac; shift; done
[ -n "$out" ] || { echo "--json OUT is missing" >&2; exit 2; }
if [ "$family" = shuffle ]; then
  .ci/install_packages run
  cmake --preset release >/dev/null && cmake --build --preset release --target throng_shuffle_bench >/dev/null
  exec /usr/bin/python3 tests/bench/shuffle.py build/release/tests/throng_shuffle_bench build/bench $small "$out" "$case"
fi
.ci/install_packages run bench
if [ "$family" = train ]; then
  mkdir -p build/bench
  cmake --preset release >/dev/null && cmake --build --preset release --target throng throng_train_bench throng_train_ranks_bench >/dev/null
  if ninja -C build/release -t query throng_train_dnnl_bench >/dev/null 2>&1; then cmake --build --preset release --target throng_train_dnnl_bench >/dev/null; fi
  exec /usr/bin/python3 tests/bench/train.py build/release/tests/throng_train_bench build/bench $small "$out" "$case"
fi
if [ "$family" = curves ]; then
  mkdir -p build/bench
  cmake --preset release >/dev/null && cmake --build --preset release --target throng >/dev/null
  exec /usr/bin/python3 tests/bench/curves.py build/release/bin/throng build/bench $small "$out" "$case" ${text:+"$text"}
fi
command -v npm >/dev/null || .ci/install_packages npm
cmake --preset release >/dev/null && cmake --build --preset release --target throng >/dev/null
work=build/bench; mkdir -p $work
[ -d $work/node_modules/@duckdb/node-api ] || (cd $work && npm init -y >/dev/null && npm install --no-fund --no-audit @duckdb/node-api >/dev/null)
# Polars' machine code is a package that npm leaves out under a Node older than it asks for; by name it comes, and runs.
polars=nodejs-polars-linux-$(uname -m | sed 's/x86_64/x64/; s/aarch64/arm64/')-gnu
[ "$family" = first ] || [ -d $work/node_modules/$polars ] || (cd $work && npm install --no-fund --no-audit nodejs-polars $polars >/dev/null 2>&1) || echo "npm could not install nodejs-polars and $polars" >&2
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
  g++ -O2 -w -std=c++20 -pthread -include array -o $work/floor "$kit/floor.cpp" && g++ -O2 -w -std=c++20 -pthread -o $work/wcfloor "$kit/wcfloor.cpp"
  bytes=75700000; [ $small = 0 ] || bytes=7570000
  [ "$(cat $work/words.size 2>/dev/null)" = $bytes ] || { /usr/bin/python3 tests/bench/make_text.py $work/words.txt $bytes && echo $bytes >$work/words.size; }
  exec /usr/bin/python3 tests/bench/flow.py build/release/bin/throng $work $small "$out" "$case" "$(realpath "$kit")"
fi
events=300000; [ $small = 0 ] || events=40000
python3 examples/quickstart/changelogs_to_events.py $work/uploads.jsonl >/dev/null || build/release/bin/throng generate behaviour --events 50000 --out $work/uploads.jsonl >/dev/null
build/release/bin/throng generate behaviour --users 2000 --events $events --seed 9 --out $work/events.jsonl >/dev/null
exec /usr/bin/python3 tests/bench/first.py build/release/bin/throng $work $small "$out" "$case"
