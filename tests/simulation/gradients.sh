#!/usr/bin/env bash
# A training step's sums of gradients on simulated ranks, by bucket size and method. usage: tests/simulation/gradients.sh [--mib GRADIENT] [--step MILLISECONDS] [--buckets "1 4 16"] [--methods "direct halving"] RANKS...
# Prints a line of JSON for each.
set -euo pipefail
cd "$(dirname "$0")/../.."
mib=100 step=300 buckets="1 4 16 100" methods="direct halving tree library"
while [[ ${1:-} = --* ]]; do case $1 in --mib) mib=$2;; --step) step=$2;; --buckets) buckets=$2;; --methods) methods=$2;; *) echo "unknown: $1" >&2; exit 2;; esac; shift 2; done
[ $# -gt 0 ] || set -- 16 64 256 1024
work=build/simulation; mkdir -p $work
smpicxx -std=c++20 -O2 -I. -o $work/gradient_sync tests/simulation/gradient_sync.cpp
for ranks; do
  . tests/simulation/network.sh ends "$ranks" $work
  for method in $methods; do
    for bucket in $buckets; do
      smpirun -no-privatize -np "$ranks" -platform $work/platform.xml -hostfile $work/hosts --cfg=smpi/simulate-computation:no --cfg=smpi/shared-malloc-blocksize:16777216 $options --log=root.thres:critical \
        $work/gradient_sync "$mib" "$bucket" "$method" "$step"
    done
  done
done
