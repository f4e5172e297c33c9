#!/usr/bin/env bash
# throng serve under load: 1,000 open connections, streams that nobody reads, 10,000 requests; what it holds stays flat, and all are answered. Then killed 50 times while jobs come in.
. "$SOURCE/tests/support/with_python.sh" jsonschema
$python "$SOURCE/tests/support/gateway_load.py" "$THRONG"
rm -rf runs
ROUNDS=50 bash "$SOURCE/tests/scripts/fast_gateway.sh"
