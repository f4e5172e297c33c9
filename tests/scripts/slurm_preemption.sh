#!/usr/bin/env bash
# On a real Slurm: a job of a higher partition takes the nodes. The run is warned by TERM, keeps what it has, gives way, and goes on when it has nodes again; its results are those of one that nobody disturbed.
set -euo pipefail
slurm_conf=(PreemptType=preempt/partition_prio PreemptMode=REQUEUE $'PartitionName=low Nodes=n1,n2 Default=YES PriorityTier=1 PreemptMode=REQUEUE GraceTime=5 MaxTime=INFINITE State=UP\nPartitionName=long Nodes=n1,n2 PriorityTier=10 PreemptMode=OFF MaxTime=INFINITE State=UP')
. "$SOURCE/tests/support/own_slurm.sh"
. "$SOURCE/tests/support/short_and_long.sh" .
submit() { "$THRONG" submit short.yaml --set next.epochs=8000 --on slurm -p low --no-estimate --out "runs/$1" "${@:2}" >submit.out; }

"$THRONG" run short.yaml --set next.epochs=8000 --out whole --no-estimate >/dev/null

# With the grace time, then TERM; and where the site sends the job's own signal at once.
for how in TERM USR1; do
  if [ $how = USR1 ]; then
    echo SlurmctldParameters=preempt_send_user_signal >>slurm/slurm.conf
    sed -i 's/GraceTime=5 /GraceTime=60 /' slurm/slurm.conf
    scontrol reconfigure
  fi
  submit $how -n 2
  under_way runs/$how
  sbatch -p long --nodes 2 --exclusive --output=/dev/null --wrap 'sleep 5' >sbatch.out
  await runs/$how 'queued' 120
  grep -q 'stopped at a checkpoint' runs/$how/run.log
  await runs/$how 'done failed' 300
  "$THRONG" status runs/$how >status.out
  [ "$(state runs/$how)" = done ]
  [ "$(allocations runs/$how)" = 2 ]
  hashes whole | diff - <(hashes runs/$how)
done
echo "what gives way goes on"
