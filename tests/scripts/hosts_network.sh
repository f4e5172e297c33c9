#!/usr/bin/env bash
# Ranks on several hosts over a real network: network namespaces of this machine, joined by a bridge; a remote-shell agent
# starts mpirun's daemons in them. Equal content hashes over TCP, at a limited rate, with lost packets and with delay; a link
# cut in the middle ends both sides within a bounded time, with an error that names the host, leaves nothing running, and
# the run is resumed on another number of ranks. As root; what the kernel lacks is skipped by name.
set -euo pipefail
skip_all() { echo "skipped: $1"; exit 77; }
[ "$(id -u)" = 0 ] || skip_all "network namespaces need root"
command -v ip >/dev/null && command -v unshare >/dev/null || skip_all "no ip (iproute2) or unshare (util-linux)"
tag=thr$$
ip netns add $tag-0 2>/dev/null || skip_all "'ip netns add' is refused here"
work=$(mktemp -d)
cleanup() {
  local host pids
  for host in 0 1 2 3; do
    pids=$(ip netns pids $tag-$host 2>/dev/null) || continue
    [ -z "$pids" ] || kill -9 $pids 2>/dev/null || true
    ip netns del $tag-$host 2>/dev/null || true
  done
  ip link del $tag-br 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT
trap 'echo "failed at line $LINENO: $BASH_COMMAND"; tail -n 30 "$work"/*.err "$work"/*/run.log 2>/dev/null' ERR
ip netns exec $tag-0 unshare --uts hostname $tag-0 2>/dev/null || skip_all "'ip netns exec' or 'unshare --uts' is refused here"
cd "$work"

for net in $(seq 64 254); do
  subnet=10.213.$net
  ip -4 route show table all | grep -qF "$subnet." || break
done
ip link add $tag-br type bridge 2>/dev/null || skip_all "no bridges here"
ip link set $tag-br up
for host in 1 2 3; do
  ip netns add $tag-$host
  ip link add $tag-v$host type veth peer name e0 netns $tag-$host 2>/dev/null || skip_all "no veth devices here"
  ip link set $tag-v$host master $tag-br up
  ip -n $tag-$host addr add $subnet.$host/24 dev e0
  ip -n $tag-$host link set e0 up
  ip -n $tag-$host link set lo up
done
cat >agent <<A
#!/bin/bash
# As ssh would: HOST COMMAND...
host=\${1##*.}; shift
exec ip netns exec $tag-\$host unshare --uts sh -c "hostname $tag-\$host; \$*"
A
chmod +x agent
mca="--mca plm rsh --mca plm_rsh_agent $work/agent --mca btl tcp,self --mca btl_tcp_if_include e0 --mca oob_tcp_if_include e0"
on() {  # host command...
  local host=$1; shift
  ip netns exec $tag-$host unshare --uts bash -c "hostname $tag-$host"' && exec "$@"' bash "$@"
}
reachable() { [[ $(timeout 2 ip netns exec $tag-"$1" bash -c "echo >/dev/tcp/$subnet.$2/9" 2>&1) == *refused* ]]; }
await_network() {
  local try pair
  for pair in "1 2" "1 3" "2 3"; do
    for try in $(seq 100); do reachable $pair && continue 2; sleep 0.1; done
    echo "hosts $pair do not reach each other"; exit 1
  done
}
await_network

"$THRONG" generate behaviour --users 300 --events 30000 --seed 5 --out events.jsonl >/dev/null
cat >job.yaml <<'Y'
job: several_hosts
steps:
  events: { op: read_events, path: events.jsonl }
  parts:  { op: split, from: events }
  tokens: { op: tokenize, from: parts }
  topics: { op: topics, from: tokens, k: 8, iterations: 20 }
  next:   { op: train_sequence, from: parts, epochs: 8, hidden: 48, checkpoint_every: 5 }
Y
hashes() { "$THRONG" inspect "$1" --json | python3 -c '
import json, sys
steps = json.load(sys.stdin)["steps"]
assert len(steps) >= 5, len(steps)
for name, step in sorted(steps.items()):
    print(name, step["rows"], step["content_hash"], step["outputs"], step.get("state"))'; }
"$THRONG" run job.yaml -n 1 --out whole >/dev/null
hashes whole >want

received() { ip netns exec $tag-2 cat /proc/net/dev | awk '$1 == "e0:" { print $2 }'; }
equal_run() {  # name, what
  local from=$SECONDS bytes; bytes=$(received)
  on 1 "$THRONG" run job.yaml -n 4 --out "$1" --hosts $subnet.1,$subnet.2 --mpi-args "$mca" >"$1.out" 2>"$1.err"
  hashes "$1" | diff want -
  bytes=$(($(received) - bytes))
  [ $bytes -gt 1000000 ] || { echo "only $bytes bytes came over the network"; exit 1; }
  echo "$2: equal hashes, $((bytes / 1000000)) MB to the second host, $((SECONDS - from)) s"
}
on_all() { local host; for host in 1 2 3; do ip netns exec $tag-$host "$@" || return 1; done; }
equal_run plain "two hosts over TCP"

if ip netns exec $tag-0 tc qdisc add dev lo root tbf rate 50mbit burst 64kb latency 50ms 2>/dev/null; then
  on_all tc qdisc add dev e0 root tbf rate 50mbit burst 64kb latency 50ms
  equal_run slow "at 50 Mbit/s (tbf)"
  on_all tc qdisc del dev e0 root
else
  echo "skipped: a limited rate (no tc, or no tbf in this kernel)"
fi
loss=(INPUT -i e0 -m statistic --mode random --probability 0.02 -j DROP)
if ip netns exec $tag-0 iptables -A "${loss[@]}" 2>/dev/null; then
  on_all iptables -A "${loss[@]}"
  equal_run lossy "with 2 % of packets lost (iptables statistic)"
  on_all iptables -D "${loss[@]}"
else
  echo "skipped: lost packets (no iptables, or no statistic match in this kernel)"
fi
if ip netns exec $tag-0 tc qdisc replace dev lo root netem delay 5ms 2>/dev/null; then
  on_all tc qdisc add dev e0 root netem delay 2ms
  equal_run late "with 2 ms of delay each way (netem)"
  on_all tc qdisc del dev e0 root
else
  echo "skipped: delay (no tc, or no netem in this kernel)"
fi

anything_left() { local host; for host in 1 2 3; do ip netns pids $tag-$host; done; }
# Starts a run in the background, cuts the link of a host after the first training checkpoint, waits until nothing is left.
cut_run() {  # run host-to-cut command...
  local run=$1 host=$2 launcher from try; shift 2
  "$@" >"$run.out" 2>"$run.err" &
  launcher=$!
  for try in $(seq 1200); do [ -e "$run/steps/next/state/checkpoint.h5" ] && break; sleep 0.05; done
  [ -e "$run/steps/next/state/checkpoint.h5" ] || { echo "no checkpoint appeared"; cat "$run.err"; exit 1; }
  ip link set $tag-v"$host" down
  from=$SECONDS
  while [ -n "$(anything_left)" ]; do
    if [ $((SECONDS - from)) -gt 40 ]; then
      echo "still there 40 s after the cut:"; ps -o pid,ppid,args -p "$(anything_left | paste -sd,)"; cat "$run.err"; exit 1
    fi
    sleep 0.2
  done
  code=0; wait $launcher || code=$?
  [ ! -e "$run/steps/next/step.json" ] || { echo "$run: was finished before the cut"; exit 1; }
  ip link set $tag-v"$host" up
  await_network
  took=$((SECONDS - from))
}
expect() { grep -qE "$1" "$2" || { echo "expected '$1' in $2:"; cat "$2"; exit 1; }; }

cut_run cut 2 on 1 "$THRONG" run job.yaml -n 4 --out cut --hang-timeout 5s --hosts $subnet.1,$subnet.2 --mpi-args "$mca"
[ $code = 4 ] || { echo "exit code $code"; cat cut.err; exit 1; }
expect "^throng: no sign of life from ranks 2-3 on host $tag-2 for [5-9]" cut.err
[ "$(grep -c '^throng:' cut.err)" = 1 ] || { cat cut.err; exit 1; }
expect "no sign of life from rank 0 on host $tag-1 for [5-9].* of 4 on host $tag-2 ends" cut/run.log
on 1 "$THRONG" run cut --resume -n 3 --hosts $subnet.1,$subnet.2,$subnet.3 --mpi-args "$mca" >cut.out 2>cut.err
hashes cut | diff want -
echo "a cut link: both sides ended within $took s, exit code 4, resumed on 3 hosts with equal hashes"

# Rank 0 is on another host than the launcher: its error comes back over stderr.
cut_run away 3 on 1 "$THRONG" run job.yaml -n 2 --out away --hang-timeout 5s --hosts $subnet.2,$subnet.3 --mpi-args "$mca"
[ $code = 4 ] || { echo "exit code $code"; cat away.err; exit 1; }
expect "^throng: no sign of life from rank 1 on host $tag-3 for [5-9]" away.err
[ "$(wc -l <away.err)" = 2 ] || { cat away.err; exit 1; }
expect "no sign of life from rank 0 on host $tag-2 for [5-9]" away/run.log
"$THRONG" run away --resume -n 2 >/dev/null
hashes away | diff want -
echo "a cut link, the launcher on a third host: ended within $took s, exit code 4, resumed on one host with equal hashes"

# mpirun started by hand.
cut_run joined 3 on 1 mpirun --allow-run-as-root --oversubscribe $mca --host $subnet.1,$subnet.2,$subnet.3 -n 3 \
  "$THRONG" run job.yaml --out joined --hang-timeout 5s
[ $code != 0 ] || { echo "exit code 0"; cat joined.err; exit 1; }
expect "^throng: no sign of life from rank 2 on host $tag-3 for [5-9]" joined.err
expect "no sign of life from rank 0 on host $tag-1 for [5-9]" joined/run.log
"$THRONG" run joined --resume -n 4 >/dev/null
hashes joined | diff want -
echo "a cut link, mpirun by hand on three hosts: ended within $took s, exit code $code, resumed on one host with equal hashes"
