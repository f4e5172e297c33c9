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
sources="$(ls framework/base/*.cpp | grep -v /heap.cpp) framework/comm/communicator.cpp $(ls framework/engine/exchange*.cpp) framework/engine/buckets.cpp $(ls tests/simulation/*.cpp)"
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
{
  echo '<?xml version="1.0"?><!DOCTYPE platform SYSTEM "https://simgrid.org/simgrid.dtd"><platform version="4.1">'
  if [ $network = flows ]; then  # leaves of 16 hosts, 16 roots; 100 Gbit/s and 1 us a link
    leaves=$(((ranks_most + 15) / 16))
    echo "<cluster id=\"c\" prefix=\"n\" radical=\"0-$((leaves * 16 - 1))\" suffix=\"\" speed=\"1Gf\" bw=\"12.5GBps\" lat=\"1us\" topology=\"FAT_TREE\" topo_parameters=\"2;16,$leaves;1,16;1,1\" loopback_bw=\"10GBps\" loopback_lat=\"500ns\"/>"
  else
    # Links that flows do not share, and that are not what takes time: bytes cost at the ends, see below. (SimGrid's Constant model has no links at
    # all, but goes through all messages under way at each event.)
    echo "<cluster id=\"c\" prefix=\"n\" radical=\"0-$((ranks_most - 1))\" suffix=\"\" speed=\"1Gf\" bw=\"10000GBps\" lat=\"1us\" sharing_policy=\"FATPIPE\"/>"
  fi
  echo '</platform>'
} >$work/platform.xml
seq -f 'n%.0f' 0 $((ranks_most - 1)) >$work/hosts
# Messages up to 64 KiB leave whether their receiver waits for them or not, as an MPI's eager ones do. (Otherwise SimGrid also keeps all of
# them, of all ranks, in one list that it searches at each end of one.)
# 0.5 us of processor a message on either side; in 'ends' also its bytes at 12.5 GB/s on either side, and 2 us between.
options="--cfg=smpi/async-small-thresh:65536 --cfg=smpi/ois:0:5e-7:0 --cfg=smpi/or:0:5e-7:0"
[ $network = flows ] || options="$options --cfg=network/model:CM02 --cfg=network/TCP-gamma:0 --cfg=smpi/ois:0:5e-7:8e-11 --cfg=smpi/or:0:5e-7:8e-11"
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
