# For scripts on a real Slurm of their own; sourced: starts it, with the lines of slurm_conf, makes $work the place to be, and stops it at the end.
command -v slurmctld >/dev/null && [ "$(id -u)" = 0 ] || { echo "skipped: needs root and Debian's slurm-wlm and munge"; exit 77; }
work=$(mktemp -d)
trap 'echo "failed at line $LINENO"; squeue || true; tail -n 40 runs/*/submission.log 2>/dev/null; cat ./*.out 2>/dev/null' ERR
trap 'bash "$SOURCE/tests/support/slurm.sh" stop "$work/slurm"; rm -rf "$work"' EXIT
bash "$SOURCE/tests/support/slurm.sh" start "$work/slurm" "${slurm_conf[@]}"
. "$work/slurm/env"
. "$SOURCE/tests/support/submissions.sh"
cd "$work"
