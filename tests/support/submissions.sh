# For scripts that submit runs; sourced.
field() { "$THRONG" status "$1" --json | python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$2"; }
state() { field "$1" state; }
allocations() { "$THRONG" status "$1" --json | python3 -c 'import json, sys; print(len(json.load(sys.stdin)["allocations"]))'; }
await() {  # run, states that end the wait, seconds
  local from=$SECONDS now=
  while [ $((SECONDS - from)) -lt "${3:-60}" ]; do
    now=$(state "$1")
    [[ " $2 " == *" $now "* ]] && return
    sleep 0.2
  done
  echo "$1 is $now after ${3:-60} s, not one of: $2"
  "$THRONG" status "$1"
  return 1
}
hashes() { "$THRONG" inspect "$1" --json | python3 -c '
import json, sys
for name, step in sorted(json.load(sys.stdin)["steps"].items()):
  if name != "top":  # a table of its file, whose name differs
    print(name, step["rows"], step["content_hash"], step["outputs"])'; }
# The step "next" has written a checkpoint.
under_way() { for _ in $(seq 600); do [ -e "$1/steps/next/state/checkpoint.h5" ] && return; sleep 0.1; done; echo "$1: no checkpoint"; exit 1; }
