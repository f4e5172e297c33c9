#!/usr/bin/env bash
# The report in headless Chromium: charts are drawn, nothing is fetched, no script error; in English and in Chinese.
set -euo pipefail
command -v chromium >/dev/null || { echo "skipped: chromium is not installed"; exit 77; }
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cd "$work"
"$THRONG" generate behaviour --users 200 --events 20000 --seed 11 --out events.jsonl >/dev/null
for language in en zh; do
  sed -e 's|"../../build/quickstart/events.jsonl"|events.jsonl|' -e 's/epochs: 8/epochs: 2/' -e "s/op: report,/op: report, language: $language,/" "$SOURCE/examples/quickstart/generated.yaml" >job.yaml
  "$THRONG" run job.yaml --out run_$language >/dev/null
  page=run_$language/report.html
  # Nothing may be fetched: no address in an attribute or a style.
  ! grep -qE '(src|href)="https?:|url\(https?:|@import' "$page"
  sed 's|</body>|<script>setTimeout(() => { document.body.dataset.result = JSON.stringify({ charts: window.reportCharts, errors: window.reportErrors, said: document.querySelectorAll("ol.said li").length, learned: document.querySelectorAll("h3[id^=learned-]").length, graph: !!document.querySelector("#graph-view svg"), blank: [...document.querySelectorAll("canvas")].filter(c => !c.getContext("2d").getImageData(0, 0, c.width, c.height).data.some(v => v)).length }); }, 800);</script></body>|' "$page" >probed.html
  chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync \
    --user-data-dir="$work/profile" --virtual-time-budget=4000 --dump-dom "file://$work/probed.html" 2>/dev/null >dom.html
  result=$(grep -oE 'data-result="[^"]*"' dom.html | head -1 | sed 's/&quot;/"/g')
  echo "$language: $result"
  echo "$result" | grep -q '"errors":\[\]'
  echo "$result" | grep -q '"said":5'
  echo "$result" | grep -q '"learned":[1-9]'
  echo "$result" | grep -q '"graph":true'
  echo "$result" | grep -q '"blank":0'
  charts=$(echo "$result" | sed -n 's/.*"charts":\([0-9]*\).*/\1/p')
  [ "$charts" -ge 8 ]
done
