#!/usr/bin/env bash
# throng serve: jobs over HTTP, checked, queued, run, watched, cancelled, resumed; removed; what is refused; answers as openapi.json describes them; killed with -9 while jobs come in.
. "$SOURCE/tests/support/with_python.sh" jsonschema
mkdir data
. "$SOURCE/tests/support/short_and_long.sh" data
"$THRONG" run short.yaml --data-root data --out whole --no-estimate >/dev/null
$python "$SOURCE/tests/support/gateway.py" "$THRONG" "$SOURCE/cluster/web/openapi.json"
