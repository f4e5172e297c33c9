#!/usr/bin/env bash
# throng serve in front of a real Slurm: runs to their end, chained, cancelled at a checkpoint, resumed in another allocation, refused by sbatch; and the gateway killed with -9 while runs come in.
set -euo pipefail
. "$SOURCE/tests/support/own_slurm.sh"
mkdir data
. "$SOURCE/tests/support/short_and_long.sh" data
"$THRONG" run short.yaml --data-root data --out whole --no-estimate >/dev/null
python3 "$SOURCE/tests/support/gateway_slurm.py" "$THRONG"
