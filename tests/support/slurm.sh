#!/usr/bin/env bash
# A Slurm of one's own on this machine, as root: slurm.sh start FOLDER [line of slurm.conf]... · slurm.sh stop FOLDER
# Nodes n1 and n2, two cores each; FOLDER/env is to be sourced. Nothing but what `start` started is stopped.
set -euo pipefail

ports() {  # free ones, by this process's number, below those that connections take
  python3 - "$1" <<'PY'
import os, socket, sys
found, port = [], 20000 + os.getpid() % 12000
while len(found) < int(sys.argv[1]):
    port += 1
    with socket.socket() as s:
        try:
            s.bind(("127.0.0.1", port))
            found.append(str(port))
        except OSError:
            pass
print(" ".join(found))
PY
}

start() {
  local folder=$1 host
  shift
  host=$(hostname -s)
  mkdir -p "$folder"/{munge,state,spool-n1,spool-n2}
  read -r control node1 node2 <<<"$(ports 3)"
  chmod 755 "$folder"
  chmod 700 "$folder/munge"
  head -c 1024 /dev/urandom >"$folder/munge/key"
  chmod 600 "$folder/munge/key"
  getent hosts "$host" >/dev/null || { echo "slurm.sh: this machine's name '$host' has no address" >&2; return 1; }
  cat >"$folder/slurm.conf" <<CONF
ClusterName=throng
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$control
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket=$folder/munge/socket,cred_expire=10
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool-%n
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd-%n.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd-%n.log
SwitchType=switch/none
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
ReturnToService=2
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2,sched_min_interval=100000
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MinJobAge=300
KillWait=30
OverTimeLimit=0
InactiveLimit=0
SlurmdTimeout=15
SlurmctldTimeout=60
NodeName=n1 NodeHostname=$host NodeAddr=127.0.0.1 Port=$node1 CPUs=2 RealMemory=2000 State=UNKNOWN
NodeName=n2 NodeHostname=$host NodeAddr=127.0.0.1 Port=$node2 CPUs=2 RealMemory=2000 State=UNKNOWN
PartitionName=short Nodes=n1,n2 Default=YES MaxTime=30 State=UP
PartitionName=long Nodes=n1,n2 MaxTime=INFINITE State=UP
CONF
  for line in "$@"; do
    sed -i "/^${line%%=*}=/d" "$folder/slurm.conf"
    echo "$line" >>"$folder/slurm.conf"
  done
  echo "export SLURM_CONF=$folder/slurm.conf" >"$folder/env"
  munged --key-file="$folder/munge/key" --socket="$folder/munge/socket" --pid-file="$folder/munge/pid" --log-file="$folder/munge/log" --seed-file="$folder/munge/seed" --force 2>>"$folder/munge/log"
  export SLURM_CONF=$folder/slurm.conf
  control_start "$folder"
  slurmd -N n1
  slurmd -N n2
  for _ in $(seq 100); do
    [ "$(sinfo -h -N -p long -o %T 2>/dev/null | sort | uniq -c | tr -s ' ')" = " 2 idle" ] && return
    sleep 0.2
  done
  echo "slurm.sh: the nodes are not idle after 20 s" >&2
  sinfo -N -l >&2 || true
  tail -n 5 "$folder"/*.log >&2
  return 1
}

control_start() { SLURM_CONF=$1/slurm.conf slurmctld; }

end() {  # a process by the file that holds its number
  local pid
  pid=$(cat "$1" 2>/dev/null) || return 0
  kill "$pid" 2>/dev/null || return 0
  for _ in $(seq 50); do
    kill -0 "$pid" 2>/dev/null || return 0
    sleep 0.1
  done
  kill -KILL "$pid" 2>/dev/null || true
}

stop() {
  local folder=$1
  SLURM_CONF=$folder/slurm.conf timeout 10 scancel -u root 2>/dev/null || true
  sleep 1
  for pid in "$folder"/slurmd-*.pid "$folder/slurmctld.pid" "$folder/munge/pid"; do end "$pid"; done
}

"$@"
