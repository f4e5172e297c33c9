#!/usr/bin/env bash
# throng serve over TLS, with a certificate made here: pages, files and streams arrive whole; who speaks plain HTTP or an old TLS is refused; a key of another certificate is an error.
. "$SOURCE/tests/support/with_python.sh"
command -v openssl >/dev/null || { echo "skipped: openssl is not installed"; exit 77; }
make_certificate() { openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=$1" -addext "subjectAltName=IP:127.0.0.1" -keyout "$1.key" -out "$1.pem" 2>/dev/null; }
make_certificate gateway
make_certificate stranger
mkdir data
"$THRONG" generate behaviour --users 100 --events 20000 --seed 5 --out data/events.jsonl >/dev/null
cat >job.yaml <<'Y'
job: copy
steps:
  events: { op: read_events, path: events.jsonl }
  top:    { op: write, from: events, path: results/events.csv }
Y
code=0
"$THRONG" serve runs --port 0 --certificate gateway.pem --key stranger.key 2>err.txt || code=$?
[ "$code" = 4 ]
grep -q 'gateway.pem, stranger.key: no certificate and key that go together' err.txt
code=0
"$THRONG" serve runs --port 0 --certificate gateway.pem 2>err.txt || code=$?
[ "$code" = 2 ]
grep -q -- '--certificate and --key go together' err.txt
$python "$SOURCE/tests/support/gateway_tls.py" "$THRONG"
