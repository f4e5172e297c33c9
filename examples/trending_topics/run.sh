#!/usr/bin/env bash
# usage: THRONG_DATA=folder examples/trending_topics/run.sh [RANKS]    (throng on the PATH, or built in build/release)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
throng=$(command -v throng || echo "$here/../../build/release/bin/throng")
out=${OUT:-runs/trending_topics}
data=${THRONG_DATA:-}/trend/weibo_hot_search
if [ -e "$data/2021.tsv" ]; then
  "$throng" run "$here/job.yaml" --set "events.path=[$data/2020.tsv, $data/2021.tsv]" -n "${1:-2}" --out "$out"
else
  echo "no hot-search data under THRONG_DATA: running on generated posts of the same kind"
  mkdir -p "$(dirname "$out")"
  "$throng" generate behaviour --users 500 --events 60000 --days 60 --seed 3 --out "$out.events.jsonl"
  "$throng" run "$here/job.yaml" --set "events.path=$(realpath "$out.events.jsonl")" --set events.format=jsonl --set "events.columns=[]" \
    --set "topics.max_share=0.5" --set topics.k=8 -n "${1:-2}" --out "$out"
fi
