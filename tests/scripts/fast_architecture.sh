#!/usr/bin/env bash
# The house: a floor includes only floors below it, each outside library has one door, nothing unexpected on the top level,
# every header compiles alone.
set -uo pipefail
cd "$SOURCE"
failed=0
complain() { echo "$1"; failed=1; }

# Floors from the bottom up; a folder may include those listed before it (and itself).
declare -A below=(
  [framework/base]=""
  [framework/text]="framework/base"
  [framework/comm]="framework/base"
  [framework/data]="framework/base framework/text framework/comm"
  [framework/tensor]="framework/base"
  [framework/nn]="framework/base framework/tensor"
  [framework/graph]="framework/base framework/comm framework/data"
  [framework/train]="framework/base framework/comm framework/data framework/tensor framework/nn framework/graph"
  [framework/engine]="framework/base framework/comm framework/data framework/graph"
  [framework/recommend]="framework/base framework/comm framework/data framework/tensor framework/graph"
  [operators]="framework/base framework/text framework/comm framework/data framework/tensor framework/nn framework/train framework/graph framework/recommend"
  [cluster]="framework/base framework/engine"
  [jobs]="framework/base framework/text framework/comm framework/data framework/graph framework/engine operators cluster"
)
floor_of() { case $1 in framework/*) echo "$1" | cut -d/ -f1-2;; *) echo "$1" | cut -d/ -f1;; esac; }
while IFS=: read -r file include; do
  from=$(floor_of "$file") to=$(floor_of "$include")
  [ "$from" = "$to" ] || [[ " ${below[$from]} " == *" $to "* ]] || complain "floor: $file includes $include"
  # An operator never includes another.
  if [ "$from" = operators ] && [ "$to" = operators ] && [ "$(cut -d/ -f2 <<<"$file")" != "$(cut -d/ -f2 <<<"$include")" ]; then
    complain "operators: $file includes $include"
  fi
done < <(git ls-files 'framework/*.h' 'framework/*.cpp' 'operators/*.h' 'operators/*.cpp' 'jobs/*.h' 'jobs/*.cpp' 'cluster/*.h' 'cluster/*.cpp' \
  | grep -v _test.cpp | xargs grep -oE '^#include "(framework|operators|jobs|cluster)/[^"]+' | sed 's/#include "//')

# Of the engine, cluster knows run directories and nothing else.
git grep -nE '#include "framework/engine/' -- cluster | grep -vE 'framework/engine/(run_directory|commit_mark)\.h' && complain "cluster: run directories are all that it may know of the engine"

door() {  # include pattern, the only folders allowed
  local bad
  bad=$(git grep -lE "^#include <$1" -- framework operators jobs cluster | grep -vE "^($2)" | grep -v _test.cpp)
  [ -z "$bad" ] || complain "door: <$1> belongs to $2, but is included by $bad"
}
door 'mpi\.h' framework/comm/
door 'hdf5\.h' framework/data/
door 'cblas\.h' framework/tensor/
door 'yaml-cpp' jobs/spec/
door 'unicode/' framework/text/
door 're2/' framework/text/regex
door 'absl/' framework/data/time
door 'simdjson' operators/read_events/
door 'z(lib|std)\.h' framework/data/text_input
door 'libdeflate\.h' framework/data/deflate
door 'lz4\.h' framework/base/block_file
door 'xxhash\.h' framework/base/hash
door 'CLI/' jobs/cli/
door 'boost/' 'cluster/heartbeat/|cluster/service/http_server'
door 'sqlite3\.h' cluster/service/store
door 'openssl/' cluster/service/token

expected="CMakeLists.txt CMakePresets.json LICENSE README.md cluster examples framework jobs operators tests"
have=$(git ls-files | cut -d/ -f1 | grep -v '^\.' | sort -u | LC_ALL=C sort | tr '\n' ' ' | sed 's/ $//')
[ "$have" = "$expected" ] || complain "top level: $have"

git ls-files 'framework/*.h' 'operators/*.h' 'jobs/*.h' 'cluster/*.h' | xargs -P "$(nproc)" -I{} sh -c \
  'g++ -std=c++20 -fsyntax-only -I. $(pkg-config --cflags hdf5-openmpi ompi-c | sed s/-I/-isystem/g) -include {} -x c++ /dev/null || { echo "header: {} does not compile alone"; exit 1; }' || failed=1
exit $failed
