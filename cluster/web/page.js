// The gateway's page: runs, one run as it goes on, and a form to submit. All it shows comes from the API beside it.
"use strict";
(() => {
const main = document.getElementById("page"), toast = document.getElementById("toast");
window.pageErrors = [];
window.addEventListener("error", e => window.pageErrors.push(String(e.message)));
window.addEventListener("unhandledrejection", e => window.pageErrors.push(String(e.reason)));

function make(tag, attributes, ...children) {
  const e = document.createElement(tag);
  for (const [k, v] of Object.entries(attributes || {})) {
    if (v === null || v === undefined || v === false) continue;
    if (k === "class") e.className = v; else if (k.startsWith("on")) e.addEventListener(k.slice(2), v); else e.setAttribute(k, v === true ? "" : v);
  }
  for (const c of children.flat(3)) if (c !== null && c !== undefined && c !== false) e.append(c instanceof Node ? c : document.createTextNode(String(c)));
  return e;
}
const number = x => Number(x).toLocaleString("en-US", { maximumFractionDigits: Math.abs(x) < 10 ? 3 : 0 });
const bytes = b => b >= 2 ** 30 ? (b / 2 ** 30).toFixed(1) + " GiB" : b >= 2 ** 20 ? (b / 2 ** 20).toFixed(1) + " MiB" : b >= 1024 ? (b / 1024).toFixed(0) + " KiB" : b + " B";
const seconds = s => s < 60 ? s.toFixed(s < 1 ? 2 : s < 10 ? 1 : 0) + " s" : s < 3600 ? Math.floor(s / 60) + " min " + Math.round(s % 60) + " s" : Math.floor(s / 3600) + " h " + Math.round(s % 3600 / 60) + " min";
const percent = f => (100 * f).toFixed(f < 0.1 ? 1 : 0) + " %";
const over = run => !["queued", "running"].includes(run.state);
const badge = state => make("span", { class: "state " + state }, state);
const bar = fraction => { const i = make("i"); i.style.width = Math.min(100, 100 * fraction) + "%"; return make("div", { class: "bar", role: "progressbar", "aria-valuenow": Math.round(100 * fraction), "aria-valuemin": 0, "aria-valuemax": 100 }, i); };
const when = utc => { const d = new Date(utc); return make("time", { datetime: utc, title: utc }, d.toLocaleString([], { dateStyle: "medium", timeStyle: "short" })); };
function say(text) { toast.textContent = text; toast.classList.add("shown"); clearTimeout(say.timer); say.timer = setTimeout(() => toast.classList.remove("shown"), 4000); }

// The token stays in this tab.
let token = sessionStorage.getItem("token") || "", me = null;
class Refused extends Error { constructor(status, body) { super(body.error || "HTTP " + status); this.status = status; this.body = body; } }
async function api(path, options = {}) {
  const headers = { Authorization: "Bearer " + token, ...options.headers };
  if (options.json !== undefined) headers["Content-Type"] = "application/json";
  const response = await fetch("/api/v1" + path, { method: options.method || (options.json !== undefined ? "POST" : "GET"), headers, body: options.json !== undefined ? JSON.stringify(options.json) : undefined, signal: options.signal });
  if (response.status === 401) { token = ""; sessionStorage.removeItem("token"); me = null; }
  if (!response.ok) throw new Refused(response.status, await response.json().catch(() => ({})));
  if (options.raw) return response;
  return (response.headers.get("Content-Type") || "").startsWith("application/json") ? response.json() : response.text();
}
const own = run => me && (me.role === "admin" || (me.role === "submitter" && run.user === me.name));
const may = role => me && ["viewer", "submitter", "admin"].indexOf(me.role) >= ["viewer", "submitter", "admin"].indexOf(role);
async function open_file(id, path, frame) {
  try {
    const ticket = await api(`/runs/${id}/tickets`, { json: { path } });
    if (frame) frame.src = ticket.address; else window.open(ticket.address, "_blank", "noopener");
  } catch (e) { say(e.message); }
}

// One view at a time; leaving it ends what it has begun.
let leave = () => {};
function view() { leave(); const end = new AbortController(); leave = () => end.abort(); main.replaceChildren(); return end.signal; }
function every(signal, milliseconds, work) {
  const again = async () => {
    if (signal.aborted) return;
    if (!document.hidden) try { await work(); } catch (e) { if (!signal.aborted && e.status === 401) return route(); }
    if (!signal.aborted) setTimeout(again, milliseconds);
  };
  again();
}

function ask_token(reason) {
  view();
  const input = make("input", { type: "password", name: "token", autocomplete: "off", required: true, "aria-label": "Token" });
  const enter = async e => {
    e.preventDefault();
    token = input.value.trim();
    try { me = await api("/me"); sessionStorage.setItem("token", token); route(); } catch (error) { say(error.status === 401 ? "No user has this token." : error.message); }
  };
  main.append(make("form", { class: "card gate", onsubmit: enter }, make("h1", {}, "Who are you?"), make("p", { class: "sub" }, reason || "Enter your token. The first one is in the file that 'throng serve' names; an admin makes others."), input, make("p", { class: "row end" }, make("button", { class: "first" }, "Enter"))));
  input.focus();
}

function runs_view() {
  const signal = view();
  const filter = make("input", { type: "search", placeholder: "Filter by job, user, state, id", "aria-label": "Filter" }), body = make("tbody"), note = make("p", { class: "sub" }), more = make("button", { hidden: true }, "Older runs");
  main.append(make("div", { class: "row" }, make("h1", {}, "Runs"), may("submitter") && make("a", { class: "button", href: "#/submit" }, "Submit a job")), note, filter,
    make("div", { class: "card" }, make("table", {}, make("thead", {}, make("tr", {}, ["Job", "State", "Progress", "Where", "By", "Submitted"].map((h, i) => make("th", { class: i > 2 ? "wide" : null }, h)))), body)), more);
  let limit = 100, runs = [], total = 0, shown = "";
  const draw = () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const rows = runs.filter(r => words.every(w => [r.job, r.user, r.state, r.id, r.launcher].join(" ").toLowerCase().includes(w)));
    const text = JSON.stringify(rows);
    note.textContent = total === 0 ? "Nothing was submitted yet." : `${number(total)} in all` + (rows.length < runs.length ? `, ${rows.length} shown` : "");
    more.hidden = runs.length >= total;
    if (text === shown) return;
    shown = text;
    const focused = document.activeElement && document.activeElement.dataset ? document.activeElement.dataset.run : null;
    body.replaceChildren(...rows.map(r => {
      const now = r.progress && r.progress.now;
      return make("tr", { class: "pick", onclick: () => location.hash = "#/run/" + r.id }, make("td", {}, make("a", { href: "#/run/" + r.id, "data-run": r.id }, r.job || "(not read yet)"), make("div", { class: "hint" }, r.id)), make("td", {}, badge(r.state)),
        make("td", {}, now ? [make("div", {}, now.step + " ", make("span", { class: "hint" }, now.text)), bar(now.fraction)] : make("span", { class: "hint" }, (r.reason || r.detail || "").split("\n")[0].slice(0, 160))),
        make("td", { class: "wide" }, r.launcher, r.ranks ? make("div", { class: "hint" }, r.ranks + (r.ranks === 1 ? " rank" : " ranks")) : null), make("td", { class: "wide" }, r.user), make("td", { class: "wide" }, when(r.submitted)));
    }));
    if (focused) { const again = body.querySelector(`[data-run="${CSS.escape(focused)}"]`); if (again) again.focus(); }
  };
  const load = async () => {
    const found = await api(`/runs?limit=${limit}`, { signal });
    runs = found.runs, total = found.total;
    draw();
  };
  filter.addEventListener("input", draw);
  more.addEventListener("click", () => { limit = Math.min(1000, limit + 300); load(); });
  every(signal, 2000, load);
}

// A chart that is filled again as points come.
function chart_of(parent, title) {
  const canvas = make("canvas", { role: "img", "aria-label": title });
  parent.append(make("div", { class: "card" }, make("h2", {}, title), make("div", { class: "chart" }, canvas)));
  if (typeof Chart === "undefined") { canvas.replaceWith(make("p", { class: "hint" }, "Chart.js is not installed where the gateway runs.")); return { draw() {} }; }
  const css = getComputedStyle(document.documentElement), colours = ["#2563a8", "#c2571a", "#2f8f5b", "#8a4fb0", "#b8942a", "#c23b5c"];
  Chart.defaults.color = css.getPropertyValue("--soft"), Chart.defaults.borderColor = css.getPropertyValue("--line");
  const chart = new Chart(canvas, { type: "line", data: { labels: [], datasets: [] }, options: { animation: false, maintainAspectRatio: false, interaction: { mode: "index", intersect: false }, plugins: { legend: { position: "bottom" } }, scales: { x: { ticks: { maxTicksLimit: 12 } }, losses: { position: "left", display: "auto" }, scores: { position: "right", display: "auto", grid: { drawOnChartArea: false } } } } });
  return { draw(points) {
    const at = points[0].epoch !== undefined ? "epoch" : Object.keys(points[0])[0], keys = Object.keys(points[0]).filter(k => k !== at && points.some(p => typeof p[k] === "number"));
    chart.data = { labels: points.map(p => p[at]), datasets: keys.map((k, i) => ({ label: k.replaceAll("_", " "), data: points.map(p => p[k]), borderColor: colours[i % 6], backgroundColor: colours[i % 6], pointRadius: points.length > 60 ? 0 : 2, borderWidth: 2, yAxisID: k.includes("loss") ? "losses" : "scores" })) };
    chart.update("none");
  } };
}

// graphviz has laid it out; what each step is doing comes into its last line, and its part done into its box.
function graph_of(svg_text) {
  const svg = new DOMParser().parseFromString(svg_text, "image/svg+xml").documentElement;
  if (svg.nodeName !== "svg") return { node: make("p", { class: "hint" }, "graphviz is not installed where the gateway runs."), draw() {} };
  for (const e of [...svg.querySelectorAll("script, a, image, foreignObject")]) e.remove();
  for (const e of [...svg.querySelectorAll("[fill], [stroke], [style]")]) e.removeAttribute("fill"), e.removeAttribute("stroke"), e.removeAttribute("style");
  svg.setAttribute("class", "graph"); svg.setAttribute("role", "img"); svg.setAttribute("aria-label", "The job's graph");
  const node = document.importNode(svg, true), ns = "http://www.w3.org/2000/svg", boxes = {};
  const background = node.querySelector("polygon"); if (background && background.parentNode.classList.contains("graph")) background.remove();
  for (const e of node.querySelectorAll("g.edge polygon")) e.style.fill = "var(--soft)";
  const place = () => {
    for (const group of node.querySelectorAll("g.node")) {
      const shape = group.querySelector("path, polygon"), box = shape.getBBox();
      if (!box.width) return false;
      const rect = (name, width) => { const r = document.createElementNS(ns, "rect"); r.setAttribute("class", name); for (const [k, v] of Object.entries({ x: box.x, y: box.y, width, height: box.height, rx: 8 })) r.setAttribute(k, v); return r; };
      const fill = rect("fill", 0), texts = group.querySelectorAll("text");
      shape.replaceWith(rect("box", box.width), fill);
      texts.forEach((t, i) => i > 0 && t.setAttribute("class", "small"));
      boxes[group.id.slice(5)] = { group, fill, width: box.width, line: texts[2] };
    }
    return true;
  };
  return { node, draw(run) {
    if (!Object.keys(boxes).length && !place()) return;
    for (const [id, b] of Object.entries(boxes)) {
      const step = (run.steps || {})[id] || {}, fused = b.group.classList.contains("fused"), state = step.state === "running" && over(run) ? (run.state === "failed" ? "failed" : "stopped") : step.state || "waiting";
      b.group.setAttribute("class", `node ${fused ? "fused" : "stored"} at-${state === "unchanged" ? "done" : state}`);
      b.fill.setAttribute("width", b.width * (step.state === "running" ? step.fraction || 0 : 0));
      if (b.line) b.line.textContent = step.state === "running" ? `${percent(step.fraction || 0)} ${eta_of(step)}` : step.rows !== undefined ? number(step.rows) + " rows" : fused ? "" : "–";
    }
  } };
}
const eta_of = step => step.fraction > 0.02 && step.fraction < 1 ? "· " + seconds(step.seconds / step.fraction * (1 - step.fraction)) + " left" : "";

function steps_table(run) {
  const rows = (run.order || []).map(id => {
    const s = (run.steps || {})[id] || { state: "waiting" }, live = s.state === "running" && !over(run);
    return make("tr", {}, make("td", {}, id, make("div", { class: "hint" }, s.op === "(co-locate)" ? "shuffle" : s.op || "")), make("td", {}, badge(s.state === "running" && !live ? run.state : s.state)),
      make("td", {}, live ? [make("div", { class: "row" }, bar(s.fraction || 0), make("span", { class: "hint" }, percent(s.fraction || 0), " ", eta_of(s))), make("div", { class: "hint" }, s.text)] : null),
      make("td", { class: "n" }, s.rows ? number(s.rows) : ""), make("td", { class: "n" }, s.rows && s.seconds > 0.05 ? number(s.rows / s.seconds) : ""), make("td", { class: "n" }, s.seconds ? seconds(s.seconds) : ""));
  });
  return make("table", {}, make("thead", {}, make("tr", {}, ["Step", "State", "Progress", "Rows", "Rows/s", "Time"].map((h, i) => make("th", { class: i > 2 ? "n" : null }, h)))), make("tbody", {}, rows));
}

function ranks_table(run) {
  const reports = run.rank_reports || [];
  if (!reports.length || over(run)) return null;
  const most = Math.max(...reports.map(r => r.resident_bytes)), rows_of = r => r.lanes.reduce((n, l) => n + l.rows, 0), mean = reports.reduce((n, r) => n + rows_of(r), 0) / reports.length;
  const shown = reports.slice(0, 200);
  return [make("ul", {}, (run.ranks_explained || []).slice(0, 12).map(line => make("li", {}, line))),
    make("table", {}, make("thead", {}, make("tr", {}, ["Rank", "Host", "Doing", "Rows, to the mean", "Memory", "Sent", "Waited"].map((h, i) => make("th", { class: i > 2 ? "n" : null }, h)))), make("tbody", {}, shown.map(r => {
      const lane = r.lanes[0];
      return make("tr", {}, make("td", {}, r.rank), make("td", {}, r.host), make("td", {}, lane ? lane.step + (lane.doing !== "computing" && lane.seconds >= 1 ? ` · ${lane.doing} ${lane.what || ""} for ${seconds(lane.seconds)}` : "") : "between steps"),
        make("td", { class: "n" }, mean > 0 ? number(rows_of(r)) + " · " + (rows_of(r) / mean).toFixed(2) : ""), make("td", {}, make("div", { class: "row" }, bar(most ? r.resident_bytes / most : 0), make("span", { class: "hint" }, bytes(r.resident_bytes)))),
        make("td", { class: "n" }, bytes(r.sent_bytes)), make("td", { class: "n" }, seconds(r.collective_wait_seconds + r.exchange_wait_seconds)));
    }))), reports.length > shown.length ? make("p", { class: "hint" }, `and ${reports.length - shown.length} more`) : null];
}

// Events of a run; the browser's own EventSource cannot send a token.
async function follow(id, signal, on) {
  let log_from = 0;
  for (let pause = 500; !signal.aborted; pause = Math.min(10000, pause * 2)) {
    try {
      const response = await api(`/runs/${id}/events?log_from=${log_from}`, { raw: true, signal }), reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let text = "";
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        text += value, pause = 500;
        for (let end; (end = text.indexOf("\n\n")) >= 0; text = text.slice(end + 2)) {
          const name = /^event: (.*)$/m.exec(text.slice(0, end)), data = /^data: (.*)$/m.exec(text.slice(0, end));
          if (!name || !data) continue;
          const what = JSON.parse(data[1]);
          if (name[1] === "log") log_from = what.next;
          on(name[1], what);
          if (name[1] === "end") return;
        }
      }
    } catch (e) { if (signal.aborted) return; if (e.status === 401) return route(); if (e.status === 404) return on("gone", e); }
    await new Promise(go => setTimeout(go, pause));
  }
}

function run_view(id) {
  const signal = view();
  const head = make("div"), actions = make("div", { class: "row" }), reason = make("div"), graph_card = make("div", { class: "card" }), steps = make("div", { class: "card" }), ranks_head = make("h2", {}, "Ranks"), ranks = make("div", { class: "card" }), charts = make("div", { class: "grid" }), log = make("pre", { class: "text", tabindex: 0, "aria-label": "Log" }), files = make("div"), report = make("div");
  main.append(head, actions, reason, report, make("h2", {}, "Graph"), graph_card, make("h2", {}, "Steps"), steps, charts, ranks_head, ranks, make("h2", {}, "Log"), make("div", { class: "card" }, log), files);
  const drawn = {};
  let graph = null, graph_for = "", state = "", asked_graph = 0;
  const act = (verb, text) => async e => {
    e.target.disabled = true;
    try { draw(await api(`/runs/${id}/${verb}`, { method: "POST" })); say(text); if (verb === "resume") run_view(id); } catch (error) { say([error.message, ...(error.body.faults || []).map(f => f.message)].join(" ")); e.target.disabled = false; }
  };
  const remove = async e => {
    if (!confirm("Remove this run, and all its files?")) return;
    e.target.disabled = true;
    try { await api("/runs/" + id, { method: "DELETE" }); location.hash = "#/"; say("It is removed."); } catch (error) { say(error.message); e.target.disabled = false; }
  };
  const finished = async run => {
    if (run.state === "queued" || !run.allocations) return;
    try {
      const list = (await api(`/runs/${id}/files`, { signal })).files;
      const rows = list.map(f => make("tr", {}, make("td", {}, make("button", { onclick: () => open_file(id, f.path) }, f.path)), make("td", { class: "n" }, bytes(f.bytes))));
      files.replaceChildren(make("h2", {}, "Files"), make("details", { class: "card" }, make("summary", {}, `${list.length} files`), make("table", {}, make("tbody", {}, rows.slice(0, 2000)))));
    } catch (e) { if (!signal.aborted) say(e.message); }
    if (!run.has_report || report.firstChild) return;
    const frame = make("iframe", { title: "Report", sandbox: "allow-scripts", class: "report" });
    const box = make("details", {}, make("summary", {}, "Report"), frame);
    box.addEventListener("toggle", () => { if (box.open && !frame.src) open_file(id, "report.html", frame); });
    report.replaceChildren(box);
    box.open = run.state === "done";
  };
  const draw = run => {
    document.title = `${run.job || id} · ${run.state} · Throng`;
    head.replaceChildren(make("h1", {}, run.job || id, " ", badge(run.state)), make("p", { class: "sub" }, `${id} · by ${run.user} · `, when(run.submitted), ` · ${run.launcher}` + (run.ranks ? ` · ${run.ranks} × ${run.threads}` : ""), run.detail ? ` · ${run.detail}` : ""));
    if (run.state !== state) {
      state = run.state;
      actions.replaceChildren(...[own(run) && !over(run) && make("button", { class: "danger", onclick: act("cancel", "It is told to end.") }, "Cancel"),
        own(run) && ["failed", "stopped", "cancelled"].includes(run.state) && run.allocations && make("button", { class: "first", onclick: act("resume", "It goes on.") }, "Resume"),
        may("submitter") && make("a", { class: "button", href: "#/submit/" + id }, "Submit again, changed"), run.has_report && make("button", { onclick: () => open_file(id, "report.html") }, "Report in a tab"),
        own(run) && over(run) && make("button", { class: "danger", onclick: remove }, "Remove")].filter(Boolean));
      if (over(run)) finished(run);
    }
    reason.replaceChildren(...(run.reason ? [make("div", { class: "card reason" }, run.reason, run.hint ? make("div", { class: "hint" }, run.hint) : null)] : []));
    const shape = JSON.stringify((run.graph || []).map(s => [s.id, s.op, s.inputs, s.stored]));
    if (run.graph && run.graph.length && shape !== graph_for && Date.now() - asked_graph > 1000) {
      asked_graph = Date.now();
      api(`/runs/${id}/drawing`, { signal }).then(svg => { graph_for = shape; graph = graph_of(svg); graph_card.replaceChildren(graph.node); graph.draw(run); }).catch(() => {});
    } else if (graph) graph.draw(run);
    if (!(run.graph || []).length) graph_card.replaceChildren(make("p", { class: "hint" }, over(run) ? "It did not come to a plan." : "It has no plan yet."));
    steps.replaceChildren(steps_table(run));
    const table = ranks_table(run);
    ranks_head.hidden = ranks.hidden = !table;
    if (table) ranks.replaceChildren(...table.filter(Boolean));
    for (const [step, curve] of Object.entries(run.curves || {})) {
      const points = (Array.isArray(curve) ? curve : curve.curve || []).filter(p => p && typeof p === "object");
      if (points.length) (drawn[step] = drawn[step] || chart_of(charts, "Training: " + step)).draw(points);
    }
  };
  follow(id, signal, (name, what) => {
    if (name === "run") draw(what);
    if (name === "gone") main.replaceChildren(make("h1", {}, "There is no such run"), make("p", {}, make("a", { href: "#/" }, "All runs")));
    if (name === "log") {
      const at_end = log.scrollTop + log.clientHeight >= log.scrollHeight - 30;
      log.append(what.text);
      if (log.textContent.length > 2000000) log.textContent = log.textContent.slice(-1000000);
      if (at_end) log.scrollTop = log.scrollHeight;
    }
  });
}

function submit_view(like) {
  const signal = view();
  const text = make("textarea", { spellcheck: "false", "aria-label": "Job file", placeholder: "job: my-first\nsteps:\n  events: { op: read_events, path: events.jsonl }\n  counts: { op: aggregate, from: events, by: [action], aggregates: { n: count() } }\n" }), lines = make("pre", { "aria-hidden": "true" }), faults = make("div", { role: "alert" }), plan = make("div");
  const field = (name, label, attributes = {}) => make("label", {}, make("span", {}, label), attributes.options ? make("select", { name }, attributes.options.map(o => make("option", {}, o))) : make("input", { name, ...attributes }));
  const fields = make("div", { class: "fields" }, field("launcher", "Where", { options: me.launchers }), field("nodes", "Nodes", { type: "number", min: 1, placeholder: "1" }), field("ranks_per_node", "Ranks on a node", { type: "number", min: 1, placeholder: "1" }), field("threads", "Threads of a rank", { type: "number", min: 1, placeholder: "1" }), field("time", "Time limit", { placeholder: "2h" }), field("partition", "Partition"), field("memory_per_node", "Memory of a node", { placeholder: "64GiB" }), field("set", "Overrides", { placeholder: "next.epochs=5 topics.k=30" }));
  const slurm_only = ["nodes", "time", "partition", "memory_per_node"], of = name => fields.querySelector(`[name=${name}]`);
  const show_fields = () => slurm_only.forEach(n => of(n).closest("label").hidden = of("launcher").value !== "slurm");
  of("launcher").addEventListener("change", show_fields);
  show_fields();
  let bad = new Map();
  const number_lines = () => {
    const count = text.value.split("\n").length;
    lines.replaceChildren(...Array.from({ length: count }, (_, i) => bad.has(i + 1) ? make("b", { title: bad.get(i + 1) }, (i + 1) + "●\n") : (i + 1) + "\n"));
    lines.scrollTop = text.scrollTop;
  };
  const go_to = (line, column) => {
    const before = text.value.split("\n").slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
    text.focus(), text.setSelectionRange(before + column - 1, before + column - 1 + 1);
    text.scrollTop = Math.max(0, (line - 5) * 19.5);
  };
  const show_faults = (error, list) => {
    bad = new Map((list || []).filter(f => f.line).map(f => [f.line, f.message]));
    number_lines();
    faults.replaceChildren(...(error ? [make("div", { class: "card reason" }, make("b", {}, error), make("ul", { class: "faults" }, (list || []).map(f => make("li", {}, f.line ? make("button", { onclick: () => go_to(f.line, f.column), type: "button" }, `${f.line}:${f.column}`) : null, " ", f.message, f.hint ? make("div", { class: "hint" }, f.hint) : null))))] : []));
  };
  const request = () => {
    const r = { job: text.value, launcher: of("launcher").value };
    for (const name of ["nodes", "ranks_per_node", "threads"]) if (of(name).value && !(slurm_only.includes(name) && r.launcher !== "slurm")) r[name] = Number(of(name).value);
    for (const name of ["time", "partition", "memory_per_node"]) if (of(name).value && r.launcher === "slurm") r[name] = of(name).value;
    if (of("set").value.trim()) r.set = of("set").value.trim().split(/\s+(?=[\w.-]+=)/);
    return r;
  };
  const guarded = work => async e => {
    e.preventDefault();
    const buttons = [...main.querySelectorAll("button")];
    buttons.forEach(b => b.disabled = true);
    try { show_faults(""); await work(); } catch (error) { if (!signal.aborted) { if (error.status === 401) return route(); show_faults(error.message, (error.body || {}).faults || ((error.body || {}).hint ? [{ message: error.body.hint }] : [])); } } finally { buttons.forEach(b => b.disabled = false); }
  };
  const look = guarded(async () => {
    plan.replaceChildren(make("p", { class: "hint" }, "Planning on samples of the data …"));
    try {
      const p = await api("/plan", { json: request(), signal }), drawing = graph_of(p.drawing || ""), steps = (p.estimates || {}).steps || {};
      const rows = p.steps.map(s => [s.id, s.op === "(co-locate)" ? "shuffle" : s.op, steps[s.id] ? number(steps[s.id].rows) : "", steps[s.id] ? seconds(steps[s.id].seconds) : ""]);
      plan.replaceChildren(make("h2", {}, "Plan"), make("div", { class: "card" }, drawing.node), make("div", { class: "card" }, make("table", {}, make("thead", {}, make("tr", {}, ["Step", "Operator", "Rows, about", "Time of one worker, about"].map((h, i) => make("th", { class: i > 1 ? "n" : null }, h)))), make("tbody", {}, rows.map(r => make("tr", {}, r.map((c, i) => make("td", { class: i > 1 ? "n" : null }, c))))))), make("details", { class: "card" }, make("summary", {}, "Stages"), make("pre", { class: "text" }, p.stages)));
      drawing.draw({ state: "queued", steps: Object.fromEntries(Object.entries(steps).map(([id, s]) => [id, { rows: s.rows }])) });
    } catch (e) { plan.replaceChildren(); throw e; }
  });
  // A second press, or a lost answer, makes no second run.
  let key = "", keyed = "";
  const hand_in = guarded(async () => {
    const wish = request();
    if (!key || keyed !== JSON.stringify(wish)) key = crypto.getRandomValues(new Uint32Array(4)).join("-"), keyed = JSON.stringify(wish);
    const found = await api("/runs", { json: wish, headers: { "Idempotency-Key": key }, signal });
    key = "";
    location.hash = "#/run/" + found.id;
  });
  const file = make("input", { type: "file", accept: ".yaml,.yml,text/*", "aria-label": "Upload a job file" });
  file.addEventListener("change", async () => { if (file.files[0]) { text.value = await file.files[0].text(); bad = new Map(); number_lines(); } });
  text.addEventListener("input", () => { bad = new Map(); number_lines(); });
  text.addEventListener("scroll", () => lines.scrollTop = text.scrollTop);
  text.addEventListener("keydown", e => { if (e.key === "Enter" && (e.ctrlKey || e.metaKey)) hand_in(e); });
  main.append(make("form", { onsubmit: hand_in }, make("h1", {}, "Submit a job"), make("p", { class: "sub" }, "Paste a job file, or choose one. It is checked before it is queued."), make("p", {}, file), make("div", { class: "editor" }, lines, text), faults, fields,
    make("div", { class: "row end" }, make("button", { type: "button", onclick: look }, "Show the plan"), make("button", { class: "first", title: "Ctrl+Enter" }, "Submit"))), plan);
  number_lines();
  text.focus();
  if (like) api("/runs/" + like, { signal }).then(run => {
    text.value = run.request.job;
    for (const [k, v] of Object.entries(run.request)) { const f = k === "job" ? null : of(k); if (f && (k !== "launcher" || me.launchers.includes(v))) f.value = Array.isArray(v) ? v.join(" ") : v; }
    show_fields(), number_lines();
  }).catch(e => say(e.message));
}

async function route() {
  if (!token) return ask_token();
  if (!me) try { me = await api("/me"); } catch (e) { return e.status === 401 ? ask_token() : say(e.message); }
  const [, place, id] = location.hash.split("/");
  document.title = "Throng";
  document.getElementById("who").textContent = `${me.name}, ${me.role}`;
  document.getElementById("nav-submit").hidden = !may("submitter");
  document.getElementById("nav-runs").classList.toggle("here", place !== "submit");
  document.getElementById("nav-submit").classList.toggle("here", place === "submit");
  if (place === "run" && id) run_view(id); else if (place === "submit" && may("submitter")) submit_view(id); else runs_view();
}
// Keys: g to the runs, n for a new one, / to the filter.
document.addEventListener("keydown", e => {
  if (e.target.closest("input, textarea, select") || e.ctrlKey || e.metaKey || e.altKey) return;
  if (e.key === "g") location.hash = "#/"; else if (e.key === "n") location.hash = "#/submit"; else if (e.key === "/") { const f = main.querySelector("input[type=search]"); if (f) e.preventDefault(), f.focus(); }
});
window.addEventListener("hashchange", route);
route();
})();
