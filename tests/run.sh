#!/usr/bin/env bash
# The tests. Without a label: what CI runs (release build with the fast, mpi and arch tests; ASan+UBSan and TSan on the fast
# ones). With a label (slow, browser, hosts, slurm, ...): that family on the release build.
set -euo pipefail
cd "$(dirname "$0")/.."
label=${1:-}
jobs=$(nproc)

.ci/install_packages run test
build() {  # preset
  local start=$SECONDS
  cmake --preset "$1" >/dev/null
  cmake --build --preset "$1" --parallel "$jobs" 2>&1 | grep -vE '^\[[0-9]+/[0-9]+\] (Building|Linking|Generating|Creating)' || true
  [ "${PIPESTATUS[0]}" = 0 ]
  echo "== $1 built in $((SECONDS - start)) s"
}

build release
if [ -n "$label" ]; then
  case $label in browser|hosts|simulation|slurm) .ci/install_packages "$label";; esac
  exec ctest --test-dir build/release --output-on-failure --no-tests=error -L "^$label\$"
fi
ctest --test-dir build/release --output-on-failure -j "$jobs" -L 'fast'
ctest --test-dir build/release --output-on-failure -L 'mpi'

# The sanitizers run the unit tests; leak checking is off where ptrace is forbidden and MPI is in the process.
build asan
ASAN_OPTIONS=detect_leaks=0 ctest --test-dir build/asan --output-on-failure -j "$jobs" -L 'fast' -E '^script_'
build tsan
TSAN_OPTIONS="suppressions=$PWD/tests/support/tsan.supp" ctest --test-dir build/tsan --output-on-failure -j "$jobs" -L 'fast' -E '^script_'
