#!/usr/bin/env bash
# Weak scaling of Q3's plan on simulated ranks: builds the exchange with smpicxx and runs it under smpirun.
# usage: tests/simulation/run.sh [--network flows|ends] [--rows PER_RANK] [--memory MIB] [--path stream|collective] RANKS...
#   flows: SimGrid shares each link of a fat tree between the flows that cross it (up to 64 ranks in minutes)
#   ends:  messages meet at their sender and receiver only, as in a fat tree of full bisection (the default)
# Prints a line of JSON for each number of ranks, then the table.
set -euo pipefail
cd "$(dirname "$0")/../.."
network=ends rows=250000 memory=1024 path=stream
while [[ ${1:-} = --* ]]; do case $1 in --network) network=$2;; --rows) rows=$2;; --memory) memory=$2;; --path) path=$2;; *) echo "unknown: $1" >&2; exit 2;; esac; shift 2; done
[ $# -gt 0 ] || set -- 16 64 256 1024
work=build/simulation; mkdir -p $work
sources="$(ls framework/base/*.cpp | grep -v /heap.cpp) framework/comm/communicator.cpp $(ls framework/engine/exchange*.cpp) framework/engine/buckets.cpp tests/simulation/q3_plan.cpp tests/simulation/smpi_transport.cpp"
if [ ! -x $work/q3_plan ] || [ -n "$(find framework/base framework/comm framework/engine framework/data/partitions.h tests/simulation -newer $work/q3_plan -name '*.[ch]*' | head -1)" ]; then
  objects=
  for source in $sources; do
    object=$work/$(basename "$source" .cpp).o
    smpicxx -std=c++20 -O2 -I. -c -o "$object" "$source"
    objects="$objects $object"
  done
  smpicxx -o $work/q3_plan $objects -lfmt -llz4 -lxxhash
fi
ranks_most=$(printf '%s\n' "$@" | sort -n | tail -1)
. tests/simulation/network.sh $network "$ranks_most" $work
: >$work/results
for ranks; do
  smpirun -no-privatize -np "$ranks" -platform $work/platform.xml -hostfile $work/hosts --cfg=smpi/simulate-computation:no --cfg=smpi/iprobe:0 --cfg=smpi/test:0 \
    $options --log=root.thres:critical $work/q3_plan "$rows" "$memory" "$path" | tee -a $work/results
done
/usr/bin/python3 - $work/results <<'P'
import json, sys
runs = [json.loads(line) for line in open(sys.argv[1])]
print("| ranks | seconds | efficiency | lost to partitions of unequal number | lost to the exchange | messages of a rank | most bytes under way at a rank |\n|---|---|---|---|---|---|---|")
for r in runs:
    s, even = r["seconds"], r["even_work_seconds"]
    print(f"| {r['ranks']} | {s:.4f} | {even / s:.1%} | {(s - r['exchange_seconds'] - even) / s:.1%} | {r['exchange_seconds'] / s:.1%} | {r['messages_per_rank']} | {r['peak_bytes'] / 2**20:.1f} MiB |")
P
