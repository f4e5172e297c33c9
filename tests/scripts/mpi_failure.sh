#!/bin/bash
# One rank throws while the others wait in collectives, or in an exchange by either path: mpirun ends promptly, with that error once and its exit code.
set -u
program="$BUILD/tests/throng_mpi_tests"
for ranks in 1 2 5; do
  for where in "0" "$((ranks - 1))" "0 stream" "$((ranks - 1)) stream" "$((ranks - 1)) collective"; do
    start=$SECONDS
    output=$(timeout 60 mpirun -n $ranks --oversubscribe --allow-run-as-root --bind-to none "$program" --fail $where 2>&1)
    code=$?
    if [ $code -ne 3 ] || [ $((SECONDS - start)) -gt 20 ] || [ "$(grep -c 'failed: file:7: rotten' <<< "$output")" -ne 1 ]; then
      echo "$ranks ranks, rank $where throws: exit code $code after $((SECONDS - start)) s; expected code 3 and the error once"
      echo "$output"
      exit 1
    fi
  done
done
echo "a failing rank ends all"
