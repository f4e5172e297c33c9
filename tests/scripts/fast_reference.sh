#!/usr/bin/env bash
# operators/README.md is what the parameter structs say.
set -euo pipefail
"$THRONG" operators --reference | diff "$SOURCE/operators/README.md" - || { echo "run: throng operators --reference > operators/README.md"; exit 1; }
