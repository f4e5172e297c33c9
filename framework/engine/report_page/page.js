// Draws the report from the data in this file. Nothing is fetched.
"use strict";
(() => {
const data = JSON.parse(document.getElementById("data").textContent);
const f = data.findings || {}, zh = f.language === "zh";
const EN = { people:"The people", activity:"Activity over time", heat:"Hour of the week", actions:"What they do", transitions:"What follows what",
  distribution:"Events per user", distribution_note:"how many users made so many events", from:"from \\ to", topics:"What people talk about", over_time:"Share over time", trends:"What rose", key:"key", when:"window",
  count:"rows", users:"users", before:"usual", z:"z", total:"in all", next:"What comes next", curve:"Training", loss:"training loss",
  holdout:"held-out loss", accuracy:"Accuracy on held-out rows", all:"all", switches:"switches only", learned:"What was learned and judged", time_of_steps:"Where the time of training steps went", figure:"figure", value:"value", words:"Words", near:"neighbours", map:"Map of the embedding",
  machinery:"The machinery", graph:"What ran", step:"step", op:"operator", rows:"rows", predicted:"predicted rows", predictedSeconds:"predicted seconds", seconds:"seconds", memory:"peak memory", predictedMemory:"predicted memory", shuffled:"shuffled",
  hotKeys: "Hot keys: values with far more rows than others", quality:"Data quality", reason:"count", run:"Run", post:"post", posts:"posts", see:"see the chart", user:"users", events:"events",
  model:"model", popular:"most popular", repeat_last:"repeat the last", markov:"Markov", mean:"mean", base_rate:"base rate", state:"state",
  days:["Mon","Tue","Wed","Thu","Fri","Sat","Sun"], none:"none" };
const ZH = { people:"用户", activity:"活跃度", heat:"一周分时", actions:"行为构成", transitions:"行为转移", distribution:"人均事件数", distribution_note:"产生这么多事件的用户数",
  from:"从 \\ 到", topics:"话题", over_time:"话题占比变化", trends:"上升趋势", key:"关键词", when:"时间窗口", count:"条数", users:"用户数", before:"平时", z:"z 值", total:"总数",
  next:"下一步预测", curve:"训练曲线", loss:"训练损失", holdout:"留出损失", accuracy:"留出数据上的正确率", all:"全部", switches:"仅变化", learned:"学到与评估的结果", time_of_steps:"训练步骤的时间去向", figure:"指标", value:"数值", words:"词语", near:"近邻", map:"词向量地图",
  machinery:"运行情况", graph:"执行图", step:"步骤", op:"算子", rows:"行数", predicted:"预计行数", predictedSeconds:"预计秒数", seconds:"秒", memory:"内存峰值", predictedMemory:"预计内存", shuffled:"交换量", hotKeys: "热点键(远多于其他键的行)", quality:"数据质量", reason:"计数", run:"运行",
  posts:"示例", see:"查看图表", user:"用户", events:"事件", model:"模型", popular:"最常见", repeat_last:"重复上一个", markov:"马尔可夫", mean:"均值", base_rate:"发生率", state:"状态",
  days:["周一","周二","周三","周四","周五","周六","周日"], none:"无" };
const T = zh ? ZH : EN;
const page = document.getElementById("page");
const colours = ["#2563a8","#c2571a","#2f8f5b","#8a4fb0","#b8942a","#c23b5c","#3a9db5","#6b7885","#7a9a2e","#a0522d","#4f62c9","#d17fb0"];
window.reportErrors = []; window.reportCharts = 0;
window.addEventListener("error", e => window.reportErrors.push(String(e.message)));

function make(tag, attributes, ...children) {
  const e = document.createElement(tag);
  for (const [k, v] of Object.entries(attributes || {})) k === "class" ? e.className = v : e.setAttribute(k, v);
  for (const c of children.flat()) e.append(c instanceof Node ? c : document.createTextNode(String(c)));
  return e;
}
const number = x => typeof x === "number" ? x.toLocaleString("en-US", { maximumFractionDigits: Math.abs(x) < 10 && !Number.isInteger(x) ? 3 : 1 }) : x;
const bytes = b => b > 1 << 30 ? (b / (1 << 30)).toFixed(1) + " GiB" : b > 1 << 20 ? (b / (1 << 20)).toFixed(1) + " MiB" : Math.round(b / 1024) + " KiB";
const section = (id, title) => { const h = make("h2", { id }, title); page.append(h); return h; };
const card = (title, ...children) => make("div", { class: "card" }, title ? make("h3", {}, title) : [], ...children);
function table(heads, rows, numeric) {
  const cls = i => numeric.includes(i) ? { class: "n" } : {};
  return make("table", {}, make("thead", {}, make("tr", {}, heads.map((h, i) => make("th", cls(i), h)))),
    make("tbody", {}, rows.map(r => make("tr", {}, r.map((c, i) => make("td", cls(i), c instanceof Node ? c : number(c)))))));
}
function posts(list) {
  if (!list || !list.length) return [];
  return [make("details", {}, make("summary", {}, list.length + " " + (list.length === 1 ? T.post : T.posts)),
    list.map(p => make("blockquote", {}, p.text, make("small", {}, [p.user, p.time].filter(Boolean).join(" · ")))))];
}
function chart(parent, config, tall) {
  const box = make("div", { class: tall ? "chart tall" : "chart" }), canvas = make("canvas", { role: "img" });
  box.append(canvas); parent.append(box);
  if (typeof Chart === "undefined") { box.replaceWith(make("p", { class: "note" }, "Chart.js was not found when this report was written.")); return; }
  const ink = getComputedStyle(document.documentElement).getPropertyValue("--soft"), line = getComputedStyle(document.documentElement).getPropertyValue("--line");
  Chart.defaults.color = ink; Chart.defaults.borderColor = line; Chart.defaults.animation = false; Chart.defaults.maintainAspectRatio = false;
  new Chart(canvas, config); window.reportCharts++;
}
const lines = (labels, sets, extra) => ({ type: "line", data: { labels, datasets: sets.map((s, i) => Object.assign({ borderColor: colours[i % 12], backgroundColor: colours[i % 12] + "33", pointRadius: labels.length > 60 ? 0 : 2, borderWidth: 2, tension: .2 }, s)) }, options: Object.assign({ interaction: { mode: "index", intersect: false }, plugins: { legend: { display: sets.length > 1, position: "bottom" } }, scales: { x: { ticks: { maxTicksLimit: 12 } }, y: { beginAtZero: true } } }, extra) });
const bars = (labels, sets, extra) => ({ type: "bar", data: { labels, datasets: sets.map((s, i) => Object.assign({ backgroundColor: colours[i % 12] }, s)) }, options: Object.assign({ plugins: { legend: { display: sets.length > 1, position: "bottom" } }, scales: { y: { beginAtZero: true } } }, extra) });
// Square roots keep small cells visible beside large ones.
const shade = (v, most) => v > 0 ? `rgba(37,99,168,${(0.08 + 0.85 * Math.sqrt(v / most)).toFixed(3)})` : "transparent";

page.append(make("h1", {}, data.title), make("p", { class: "sub" }, data.subtitle));
if (f.sentences) page.append(make("ol", { class: "said" }, f.sentences.map(s => make("li", {}, s.text + " ", make("a", { href: "#" + s.chart }, T.see), posts(s.posts)))));

const p = f.people;
if (p) {
  section("people", T.people);
  const a = card(T.activity); a.id = "activity"; page.append(a);
  chart(a, lines(p.activity.map(x => x[0]), [{ label: T.events, data: p.activity.map(x => x[1]), fill: true }]));
  const most = Math.max(...p.hour_of_week), heat = make("table", { class: "heat" }, make("tr", {}, make("th", {}), [...Array(24).keys()].map(h => make("th", {}, h))));
  for (let d = 0; d < 7; ++d) heat.append(make("tr", {}, make("th", {}, T.days[d]), [...Array(24).keys()].map(h => { const v = p.hour_of_week[d * 24 + h]; const c = make("td", { title: `${T.days[d]} ${h}:00 — ${number(v)}`, style: "background:" + shade(v, most) }, " "); return c; })));
  page.append(card(T.heat, heat));
  const grid = make("div", { class: "grid" }); page.append(grid);
  if (p.actions.length) {
    const b = card(T.actions); b.id = "actions"; grid.append(b);
    chart(b, bars(p.actions.map(x => x[0]), [{ label: T.events, data: p.actions.map(x => x[1]) }], { indexAxis: "y", plugins: { legend: { display: false } } }));
    if (p.users) {
      const top = Math.max(1, ...p.transitions.flat()), m = make("table", { class: "heat" }, make("tr", {}, make("th", {}, T.from), p.actions.map(x => make("th", {}, x[0]))));
      p.transitions.forEach((row, i) => { const sum = row.reduce((x, y) => x + y, 0) || 1; m.append(make("tr", {}, make("th", {}, p.actions[i][0]), row.map(v => make("td", { title: number(v), style: "background:" + shade(v, top) }, Math.round(100 * v / sum) + "%")))); });
      page.append(card(T.transitions, m));
    }
  }
  if (p.distribution.length) { const d = card(T.distribution, make("p", { class: "note" }, T.distribution_note)); grid.append(d); chart(d, bars(p.distribution.map(x => x[0]), [{ label: T.user, data: p.distribution.map(x => x[1]) }])); }
}
if (f.topics) {
  section("topics", T.topics);
  const grid = make("div", { class: "grid" }); page.append(grid);
  for (const t of f.topics.list) grid.append(card(`${t.label} · ${(100 * t.share).toFixed(1)} %`, make("div", { class: "words" }, t.words.map(w => make("span", {}, w))), posts(t.posts)));
  const o = card(T.over_time); page.append(o);
  chart(o, lines(f.topics.times, f.topics.list.slice(0, 8).map((t, i) => ({ label: t.label, data: f.topics.series[i] }))), true);
}
if (f.trends) {
  section("trends", T.trends);
  const r = f.trends.risers;
  page.append(card(`${f.trends.by}, ${f.trends.window}`, r.length ? table([T.key, T.when, T.count, T.users, T.before, T.z, T.total], r.map(x => [make("span", {}, x.key, posts(x.posts)), x.window, x.count, x.users, x.mean_before, x.z, x.total]), [2, 3, 4, 5, 6]) : T.none));
  if (r.length) { const c = card(""); page.append(c); chart(c, lines(f.trends.times, r.slice(0, 6).map(x => ({ label: x.key, data: x.series }))), true); }
}
for (const [i, n] of (f.next || []).entries()) {
  section(i ? "next" + i : "next", T.next + (f.next.length > 1 ? " · " + n.step : ""));
  const grid = make("div", { class: "grid" }); page.append(grid);
  const r = n.result;
  if (r && r.accuracy) {
    const c = card(T.accuracy), names = Object.keys(r.accuracy); grid.append(c);
    const sets = [{ label: T.all, data: names.map(k => r.accuracy[k]) }];
    if (r.switch_accuracy) sets.push({ label: T.switches, data: names.map(k => r.switch_accuracy[k] ?? null) });
    chart(c, bars(names.map(k => T[k] || k), sets));
  }
  if (n.curve && n.curve.length) { const c = card(T.curve); grid.append(c); chart(c, lines(n.curve.map(x => x.epoch), [{ label: T.loss, data: n.curve.map(x => x.loss) }, { label: T.holdout, data: n.curve.map(x => x.holdout_loss) }], { scales: { y: { beginAtZero: false } } })); }
}
if (f.words) {
  section("words", T.words);
  page.append(card(T.near, table([T.key, T.near], f.words.neighbours.map(x => [x.word, make("span", { class: "words" }, x.near.map(y => make("span", { title: y[1].toFixed(3) }, y[0])))]), [])));
  const c = card(T.map); page.append(c);
  const label = { id: "names", afterDatasetsDraw(ch) { const g = ch.ctx; g.save(); g.font = "11px sans-serif"; g.fillStyle = Chart.defaults.color; ch.getDatasetMeta(0).data.forEach((pt, i) => g.fillText(f.words.map[i][0], pt.x + 4, pt.y - 3)); g.restore(); } };
  chart(c, { type: "scatter", data: { datasets: [{ label: T.words, data: f.words.map.map(x => ({ x: x[1], y: x[2] })), backgroundColor: colours[0] }] }, options: { plugins: { legend: { display: false }, tooltip: { callbacks: { label: i => f.words.map[i.dataIndex][0] } } } }, plugins: [label] }, true);
}
// Whatever a step tells of itself: numbers, however deep they lie, texts below them, and a curve. Losses have one axis, scores the other.
if (data.learned && data.learned.length) {
  section("learned", T.learned);
  const flat = (o, at) => Object.entries(o).flatMap(([k, v]) => Array.isArray(v) ? (v.length < 5 && v.every(x => typeof x !== "object") ? [[at + k, v.map(number).join(" – ")]] : []) : v !== null && typeof v === "object" ? flat(v, at + k + " · ") : [[at + k, v ?? "–"]]);
  for (const one of data.learned) {
    const facts = flat(one.result || {}, "").map(([k, v]) => [k.replaceAll("_", " "), v]), grid = make("div", { class: "grid" });
    page.append(make("h3", { id: "learned-" + one.step }, one.step + " · " + one.op), grid);
    const long = facts.filter(x => typeof x[1] === "string" && x[1].length > 40), short = facts.filter(x => !long.includes(x));
    if (facts.length) grid.append(card("", short.length ? table([T.figure, T.value], short, [1]) : [], long.map(x => make("p", { class: "note" }, x[0] + ": " + x[1]))));
    const shown = (f.next || []).some(n => n.step === one.step), points = shown ? [] : (one.curve || []).filter(x => x !== null && typeof x === "object");
    if (points.length) {
      const at = points[0].epoch !== undefined ? "epoch" : Object.keys(points[0])[0], keys = Object.keys(points[0]).filter(k => k !== at && points.some(x => typeof x[k] === "number"));
      const second = keys.filter(k => !k.includes("loss")), both = second.length > 0 && second.length < keys.length, c = card(T.curve);
      grid.append(c);
      const scales = { x: { title: { display: true, text: at } }, y: { beginAtZero: false } };
      if (both) scales.right = { position: "right", beginAtZero: false, grid: { drawOnChartArea: false } };
      chart(c, lines(points.map(x => x[at]), keys.map(k => ({ label: k.replaceAll("_", " "), data: points.map(x => x[k]), yAxisID: both && second.includes(k) ? "right" : "y" })), { scales }));
    }
    const spent = Object.entries(one.profile || {}).filter(([k]) => !["steps", "tape_bytes"].includes(k));
    if (spent.length) {
      const c = card(T.time_of_steps, make("p", { class: "note" }, number(one.profile.steps) + " × " + (1000 * spent.reduce((sum, x) => sum + x[1], 0) / Math.max(1, one.profile.steps)).toFixed(1) + " ms" + (one.profile.tape_bytes ? " · " + bytes(one.profile.tape_bytes) : "")));
      grid.append(c);
      chart(c, bars(spent.map(x => x[0]), [{ label: T.seconds, data: spent.map(x => x[1]) }], { indexAxis: "y", plugins: { legend: { display: false } } }));
    }
  }
}
section("machinery", T.machinery);
const view = card(T.graph, make("div", { id: "graph-view" })); page.append(view);
view.querySelector("#graph-view").append(document.getElementById("graph").content.cloneNode(true));
page.append(card("", table([T.step, T.op, T.predicted, T.rows, T.predictedSeconds, T.seconds, T.shuffled, T.predictedMemory, T.memory], data.steps.map(s => [s.id, s.op, s.predicted ?? "–", s.rows, s.predicted_seconds ?? "–", s.seconds === null ? "" : s.seconds, s.shuffled ? bytes(s.shuffled) : "", s.predicted_memory ? bytes(s.predicted_memory) : "", s.memory ? bytes(s.memory) : ""]), [2, 3, 4, 5, 6, 7, 8])));
const q = section("quality", T.quality);
const counted = data.steps.flatMap(s => Object.entries(s.counters || {}).map(([k, v]) => [s.id, k.replaceAll("_", " "), v]));
page.append(card("", counted.length ? table([T.step, T.reason, T.rows], counted, [2]) : T.none));
if (data.hot_keys && data.hot_keys.length) page.append(card(T.hotKeys, table([T.step, T.key, T.rows], data.hot_keys.map(k => [k.step, k.key, k.rows]), [2])));
page.append(card(T.run, table([], data.run.map(x => [x[0], x[1]]), [])));
document.body.dataset.ready = "true";
})();
