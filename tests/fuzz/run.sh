#!/usr/bin/env bash
# Fuzzes the gateway's front with libFuzzer and AddressSanitizer: tests/fuzz/run.sh [RUNS], 1,000,000 unless told. Needs clang and libclang-rt-14-dev, and the release build.
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v clang++ >/dev/null || { echo "skipped: clang is not installed"; exit 77; }
out=build/fuzz
mkdir -p $out/corpus
flags="-std=c++20 -O1 -g -I. -DFMT_SHARED -include framework/base/precompiled.h -fsanitize=fuzzer-no-link,address"
started=()
for source in cluster/service/http_server.cpp cluster/service/http.cpp cluster/service/api.cpp cluster/service/files.cpp cluster/service/events.cpp cluster/service/runs.cpp; do
  clang++ $flags -c $source -o $out/"$(basename $source .cpp)".o &
  started+=($!)
done
for pid in "${started[@]}"; do wait "$pid"; done
clang++ $flags -fsanitize=fuzzer tests/fuzz/gateway.cpp $out/*.o -o $out/gateway -Lbuild/release -lthrong -Wl,-rpath,"$PWD/build/release" -lfmt -lssl -lcrypto -lpthread
seed() { printf "$2" >$out/corpus/"$1"; }
seed get 'GET /api/v1/runs?limit=3&before=7 HTTP/1.1\r\nHost: h\r\n\r\n'
seed two 'GET / HTTP/1.1\r\nHost: h\r\n\r\nHEAD /page.js HTTP/1.1\r\nConnection: close\r\n\r\n'
seed user 'PUT /api/v1/users/ada HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 18\r\n\r\n{"role": "viewer"}'
seed run 'POST /api/v1/runs HTTP/1.1\r\nContent-Type: application/json\r\nIdempotency-Key: k\r\nContent-Length: 44\r\n\r\n{"job": "x", "set": ["a.b=1"], "nodes": "2"}'
seed chunked 'POST /api/v1/plan HTTP/1.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"job\r\n4\r\n":3}\r\n0\r\n\r\n'
seed file 'GET /api/v1/runs/a/files/%%2e%%2e/x?a=b+c HTTP/1.1\r\nExpect: 100-continue\r\n\r\n'
seed ticket 'POST /api/v1/runs/a/tickets HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n{"path": "x"}'
exec $out/gateway -runs="${1:-1000000}" -max_len=4096 -timeout=30 -rss_limit_mb=4096 -print_final_stats=1 -close_fd_mask=0 $out/corpus
