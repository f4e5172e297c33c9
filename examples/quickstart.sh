#!/usr/bin/env bash
# The main job on data that a Debian machine already has: installs what is missing, builds, runs on two ranks, and says where
# the report is. usage: examples/quickstart.sh [RANKS]
set -euo pipefail
cd "$(dirname "$0")/.."
ranks=${1:-2}

.ci/install_packages run
start=$SECONDS
cmake --preset release -DTHRONG_TESTS=OFF -B build/quickstart-build >build-quickstart.log 2>&1 \
  && cmake --build build/quickstart-build --parallel "$(nproc)" >>build-quickstart.log 2>&1 \
  || { tail -40 build-quickstart.log; exit 1; }
mv build-quickstart.log build/quickstart-build/build.log
echo "built in $((SECONDS - start)) s"

throng=build/quickstart-build/bin/throng
job=examples/quickstart/job.yaml
mkdir -p build/quickstart
if ! python3 examples/quickstart/changelogs_to_events.py build/quickstart/events.jsonl; then
  echo "too few changelogs here (slim images leave the documentation out): running on generated posts instead"
  job=examples/quickstart/generated.yaml
  "$throng" generate behaviour --users 500 --events 50000 --seed 7 --out build/quickstart/events.jsonl
fi
"$throng" run "$job" -n "$ranks" --out build/quickstart/run
