#!/usr/bin/env bash
# The exchange under SimGrid's SMPI, which has no threads and no matched probe: all rows arrive on 16 simulated ranks by both paths.
set -euo pipefail
command -v smpicxx >/dev/null || { echo "skipped: no smpicxx (libsimgrid-dev) here"; exit 77; }
for path in stream collective; do
  "$SOURCE/tests/simulation/run.sh" --rows 100000 --path $path 2 16 | tee out
  grep -q '"ranks": 16, "rows_per_rank": 100000, "path": "'$path out
done
rm -f out
