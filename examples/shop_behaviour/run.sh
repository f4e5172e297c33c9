#!/usr/bin/env bash
# usage: THRONG_DATA=folder examples/shop_behaviour/run.sh [RANKS]    (throng on the PATH, or built in build/release)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
throng=$(command -v throng || echo "$here/../../build/release/bin/throng")
out=${OUT:-runs/shop_behaviour}
data=$(ls "${THRONG_DATA:-/nowhere}"/behaviour/online_retail/*.csv* 2>/dev/null | head -1 || true)
if [ -n "$data" ]; then
  "$throng" run "$here/job.yaml" --set "events.path=$data" -n "${1:-2}" --out "$out"
else
  echo "no online_retail data under THRONG_DATA: running on generated behaviour of the same kind"
  mkdir -p "$(dirname "$out")"
  "$throng" generate behaviour --users 500 --events 60000 --days 60 --seed 4 --out "$out.events.jsonl"
  "$throng" run "$here/generated.yaml" --set "events.path=$(realpath "$out.events.jsonl")" -n "${1:-2}" --out "$out"
fi
