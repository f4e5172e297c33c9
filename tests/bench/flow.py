"""Dataflow cases of the comparison kit against DuckDB, Polars, Dask and bare loops: 2 threads each, own formats, median of three runs (one where
small), Throng and DuckDB in turns. Every answer is compared value by value with DuckDB's and, on the kit's full data, with the answers it expects. Throng runs as
1 rank x 2 threads, and once more as 2 ranks x 1 thread. usage: flow.py THRONG WORK SMALL OUT CASE KIT"""
import concurrent.futures
import csv
import glob
import gzip
import io
import json
import os
import re
import subprocess
import sys
import time

import h5py
import numpy as np

from harness import case, entry, export, run, small, throng, work, write_results

kit, here = sys.argv[6], os.path.dirname(os.path.abspath(__file__))
data, text = os.path.abspath(f"{work}/flow_data"), os.path.abspath(f"{work}/words.txt")
rows = 2_000_000 if small else 20_000_000
repeats = 1 if small else 3
start_of_data = np.datetime64("2024-01-01T00:00:00")
EVENTS = "events: { op: read_dataset, path: flow_load/steps/events/data }"
ITEMS = "items: { op: read_dataset, path: flow_load/steps/items/data }"
DAY, HOUR = "date_trunc('day', ts) as day", "date_trunc('hour', ts) as hour"
LAYOUTS = {"1 rank x 2 threads": ("-t", "2"), "2 ranks x 1 thread": ("-n", "2", "-t", "1")}
QUERIES = ["load", "q1", "q2", "q3", "q4", "q5", "sort", "wordcount"]
CASES = [*QUERIES, "scan", "write", "start"]
chosen = CASES if case == "all" else [case]
if not set(chosen) <= set(CASES):
    sys.exit(f"no case '{case}'; known: {', '.join(CASES)}")


# ---------------------------------------------------------------------------------------------------------------- peers
def peer(known, command):
    """What a peer's program printed, or why it could not be run."""
    mine = [c for c in chosen if c in known]
    if not mine:
        return {}
    done = subprocess.run([*command, *mine], capture_output=True, text=True)
    if done.returncode == 0:
        return json.loads(done.stdout)
    lines = [line for line in done.stderr.strip().splitlines() if re.search(r"Error|cannot|No module|not found", line)] or done.stderr.strip().splitlines() or [f"exit {done.returncode}"]
    return {c: {"missing": lines[-1].strip()[:200]} for c in mine}


class DuckDb:
    """A process that runs a case when it is told one. Its answers, which the others' are compared with, are those of its last run."""

    def __init__(self):
        tables = "load" if set(chosen) & set(QUERIES) - {"wordcount"} else "none"
        self.process = subprocess.Popen(["node", f"{here}/flow.mjs", os.path.abspath(work), data, kit, text, tables], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.times, self.answers = {}, {}
        self.read("start")

    def read(self, name):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"DuckDB, whose answers the others' are compared with, did not run {name}")
        return line

    def run(self, name):
        print(name, file=self.process.stdin, flush=True)
        self.answers[name] = json.loads(self.read(name))
        self.times.setdefault(name, []).append(self.answers[name]["seconds"])

    def answer(self, name):
        times = sorted(self.times[name])
        return {**self.answers[name], "seconds": times[len(times) // 2]}


def bare_loops():
    """Medians of the kit's loops over columns in memory, and the numbers they print of their answers."""
    out = ""
    if set(chosen) & {"q1", "q3", "q4"}:
        out += subprocess.run([f"{work}/floor", data, "2"], capture_output=True, text=True, check=True).stdout
    if "wordcount" in chosen:
        out += subprocess.run([f"{work}/wcfloor", text, "2"], capture_output=True, text=True, check=True).stdout
    found = {}
    for name, median, answer in re.findall(r"(q\d|wordcount).*? median=(\d+) ms \S+(.*)", out):
        found[name] = {"seconds": max(int(median), 1) / 1e3, "numbers": {k: int(v) for k, v in re.findall(r"(\w+)=(\d+)", answer)}}
    return found


def bare_numbers(name, answer):
    """The same numbers of the whole answer."""
    if name == "q1":
        return {"view": next(r[2] for r in answer if r[:2] == [0, 0])}
    if name == "q3":
        return {"sessions": sum(r[3] for r in answer), "trans00": next(r[2] for r in answer if r[:2] == [0, 0])}
    return {"groups": len(answer)} if name == "q4" else {"distinct": len(answer), "total": sum(r[1] for r in answer)}


peers = {"polars": peer(["q1", "q2", "q3", "q4", "sort"], ["node", f"{here}/flow_polars.mjs", os.path.abspath(work), data, str(repeats)]),
         "dask": peer(["q1", "q3", "q4", "wordcount"], [sys.executable, f"{here}/flow_dask.py", data, text, str(repeats)]), "bare loop": bare_loops()}
duck = DuckDb() if set(chosen) & set(QUERIES) else None


# ---------------------------------------------------------------------------------------------------------------- answers
def in_order(answer):
    return sorted(answer, key=lambda row: [(v is not None, v if v is not None else 0) for v in row])


def same(name, answer, wanted):
    if name == "q5":  # the query rounds z to 6 digits
        answer, wanted = in_order(answer), in_order(wanted)
        return len(answer) == len(wanted) and all(a[0] == b[0] and a[2] == b[2] and abs(a[1] - b[1]) < 1.1e-6 for a, b in zip(answer, wanted))
    return in_order(answer) == in_order(wanted)


def of_kit(name):
    """The kit's answer on its full data; None where it has none."""
    path = f"{kit}/expected/{name}.csv"
    if small or not (os.path.exists(path) or os.path.exists(path + ".gz")):
        return None
    with gzip.open(path + ".gz", "rt") if os.path.exists(path + ".gz") else open(path) as f:
        return [[None if v == "" else float(v) for v in row] for row in list(csv.reader(f))[1:]]


def since(value, unit):
    return int((np.datetime64(value.rstrip("Z")) - start_of_data) / np.timedelta64(1, unit))


def record(name, ours, conditions):
    """`ours`: layout -> (seconds, whether the answer is right), the first one the measure of the others."""
    base = ours[next(iter(LAYOUTS))][0]
    for layout, (seconds, equal) in ours.items():
        entry(name, "throng", seconds, seconds / base, equal, f"{conditions}; {layout}")
    for system, answers in {"duckdb": {name: duck.answer(name)}, **peers}.items():
        if name not in answers:
            continue
        a = answers[name]
        if "missing" in a:
            entry(name, system, None, None, None, f"{conditions}; not measured: {a['missing']}")
            continue
        if "numbers" in a:
            equal = a["numbers"] == bare_numbers(name, duck.answers[name]["rows"])
        else:
            equal = a["check"] == duck.answers[name]["check"] if "check" in a else is_right(name, a["rows"])
        entry(name, system, a["seconds"], a["seconds"] / base, equal, f"{conditions}; {how(system, name)}")


def how(system, name):
    if system == "bare loop":
        return "2 threads, text mapped; distinct and total words compared" if name == "wordcount" else "2 threads, columns in memory; some numbers of the answer compared"
    held = {"duckdb": "own file", "polars": "in memory", "dask": "in the workers' memory"}[system]
    return f"{'2 workers' if system == 'dask' else '2 threads'}{'' if name == 'wordcount' else ', ' + held}"


def is_right(name, answer):
    wanted = of_kit(name)
    return same(name, answer, duck.answers[name]["rows"]) and (wanted is None or same(name, answer, wanted))


# ---------------------------------------------------------------------------------------------------------------- cases
def in_turns(name, once, right):
    """Each layout of Throng's, then DuckDB, as often as there are repeats: layout -> (median of seconds, whether all answers are right)."""
    seconds, equal = {k: [] for k in LAYOUTS}, dict.fromkeys(LAYOUTS, True)
    for _ in range(repeats):
        duck.run(name)
        for layout, flags in reversed(LAYOUTS.items()):  # the last one's files stay
            seconds[layout].append(once(flags))
            equal[layout] = right() and equal[layout]
    return {k: (sorted(v)[repeats // 2], equal[k]) for k, v in seconds.items()}


def measure(name, steps, rows_of, conditions):
    """A job, all of its steps; `rows_of` turns a row of its last step into one of the query's."""
    ours = in_turns(name, lambda flags: sum(run(f"flow_{name}", steps, flags)[0].values()), lambda: is_right(name, [rows_of(r) for r in export(f"flow_{name}", f"{name}/data")[0]]))
    record(name, ours, conditions)


def load_events(flags):
    types = "types: { user_id: int32, item_id: int32, action: int32, value: float32 }"
    return run("flow_load", [f"events: {{ op: read_events, path: flow_data/events.csv, {types} }}",
                             "items: { op: read_events, path: flow_data/items.csv, timeless: true, types: { item_id: int32, category: int32 } }"], flags)[0]["events"]


def load():
    def right():
        run("flow_sums", [EVENTS, "sums: { op: aggregate, from: events, aggregates: { n: count(), u: sum(user_id), i: sum(item_id), t: \"sum(int(round((epoch(ts) - 1704067200) * 1000)))\", a: sum(action), v: sum(value) } }"])
        return [v if isinstance(v, float) else str(v) for v in export("flow_sums", "sums/data")[0][0].values()] == duck.answers["load"]["check"]

    record("load", in_turns("load", load_events, right), f"{rows} events, {os.path.getsize(data + '/events.csv') >> 20} MiB of CSV to own format, ours with fsync")


def q1():
    measure("q1", [EVENTS, f"q1: {{ op: aggregate, from: events, by: [\"{DAY}\", action], aggregates: {{ n: count(), s: sum(value) }} }}"],
            lambda r: [since(r["day"], "D"), r["action"], r["n"], r["s"]], f"{rows} events: count and sum by action and day")


def q2():
    measure("q2", [EVENTS, f"c: {{ op: aggregate, from: events, by: [\"{DAY}\", item_id], aggregates: {{ users: count_distinct(user_id) }} }}",
                   "q2: { op: top_k, from: c, k: 100, order: [-users, item_id], by: [day] }"],
            lambda r: [since(r["day"], "D"), r["rank"], r["item_id"], r["users"]], f"{rows} events: 100 items with most distinct users, per day")


def q3():
    measure("q3", [EVENTS, "follows: { op: over, from: events, by: [user_id], order: [ts], columns: { prev: lag(action), before: lag(ts) } }",
                   "gaps: { op: derive, from: follows, columns: { gap: \"int(round((ts - before) * 1000))\" } }",
                   "q3: { op: aggregate, from: gaps, by: [prev, action], aggregates: { n: count(), starts: \"sum(if(gap is null or gap > 1800000, 1, 0))\", dur_ms: \"sum(if(gap <= 1800000, gap, 0))\" } }"],
            lambda r: [r["prev"], r["action"], r["n"], r["starts"], r["dur_ms"]], f"{rows} events: which action follows which of a user, how often that begins a session, and the time between")


def q4():
    measure("q4", [EVENTS, ITEMS, "j: { op: join, from: [events, items], on: [item_id], strategy: broadcast }",
                   f"q4: {{ op: aggregate, from: j, by: [category, \"{HOUR}\"], aggregates: {{ n: count(), s: sum(value) }} }}"],
            lambda r: [r["category"], since(r["hour"], "h"), r["n"], r["s"]], f"{rows} events joined with items: count and sum by category and hour")


def q5():
    measure("q5", [EVENTS, "counts: { op: aggregate, from: events, by: [item_id], aggregates: { n: count() } }",
                   "top: { op: top_k, from: counts, k: 1000, order: [-n, item_id] }",
                   "of_top: { op: join, from: [events, top], on: [item_id], how: semi, strategy: broadcast }",
                   f"hours: {{ op: aggregate, from: of_top, by: [item_id, \"{HOUR}\"], aggregates: {{ c: count() }} }}",
                   "grid: { op: fill_gaps, from: hours, by: [item_id], ts: hour, every: 1h, start: 2024-01-01, end: 2024-03-31, fill: { c: 0 } }",
                   "w: { op: over, from: grid, by: [item_id], order: [hour], rows: [-24, -1], columns: { m: mean(c), sd: stddev_pop(c) } }",
                   "late: { op: filter, from: w, where: \"hour >= '2024-01-02'\" }",
                   "z: { op: derive, from: late, columns: { z: \"(c - m) / greatest(sd, 1.0)\" } }",
                   "q5: { op: aggregate, from: z, by: [item_id], aggregates: { zmax: max(z), n_hot: \"sum(if(z > 2.9999999, 1, 0))\" } }"],
            lambda r: [r["item_id"], r["zmax"], r["n_hot"]], f"{rows} events: the 1000 most frequent items, each hour against its 24 before")


def sort():
    def right():
        with h5py.File(f"{work}/flow_sort/steps/sorted/data/dataset.h5") as f:
            user, ts = f["user_id"][:].astype(np.int64), f["ts"][:]
        ordered = bool(np.all((user[1:] > user[:-1]) | ((user[1:] == user[:-1]) & (ts[1:] > ts[:-1]))))
        return ordered and [len(user), int(np.sum((np.arange(len(user)) % 1000003) * (user % 1009)))] == duck.answers["sort"]["check"]

    ours = in_turns("sort", lambda flags: sum(run("flow_sort", [EVENTS, "sorted: { op: sort, from: events, by: [user_id, ts] }"], flags)[0].values()), right)
    record("sort", ours, f"{rows} events by user and time; Throng and DuckDB write their own format, Throng with fsync")


def wordcount():
    measure("wordcount", ["lines: { op: read_events, path: words.txt, format: tsv, delimiter: \"\\x01\", columns: [text], types: { text: string }, timeless: true }",
                          "tokens: { op: tokenize, from: lines, split: whitespace, lowercase: false, fold_width: false, stop_words: none, max_tokens: 1000000 }",
                          "words: { op: explode, from: tokens, column: tokens, as: word }",
                          "wordcount: { op: aggregate, from: words, by: [word], aggregates: { n: count() } }"],
            lambda r: [r["word"], r["n"]], f"{os.path.getsize(text) / 1e6:.1f} MB of text: how often each word between spaces occurs, from the file")


def scan():
    """Every column of the stored events, with its checksums; the bare loop reads the same files by pread, 2 threads in turns of 4 MiB."""
    files = sorted(glob.glob(f"{work}/flow_load/steps/events/data/part-*.h5"))
    times = sorted(raw(files, lambda part, buffer, size, at: os.preadv(part, [memoryview(buffer)[:size]], at), os.O_RDONLY) for _ in range(repeats))
    columns = ["ts", "action", "value", "user_id", "item_id"]
    biggest = ", ".join(f"{c}: max({c})" for c in columns)
    ours = sorted(run("flow_scan", [EVENTS, f"scan: {{ op: aggregate, from: events, aggregates: {{ {biggest} }} }}"])[0]["scan"] for _ in range(repeats))
    answer = export("flow_scan", "scan/data")[0][0]
    with h5py.File(f"{work}/flow_load/steps/events/data/dataset.h5") as f:
        equal = all(answer[c] == f[c][:].max().item() for c in columns[1:])
    conditions = f"{sum(os.path.getsize(f) for f in files) >> 20} MiB of a dataset from the page cache; ours with checksums and the maximum of each column"
    entry("scan", "throng", ours[repeats // 2], 1, equal, conditions)
    entry("scan", "bare loop", times[repeats // 2], times[repeats // 2] / ours[repeats // 2], True, f"{conditions}; pread of the files")


def write():
    """A copy of the stored events; the bare loop writes as many bytes from memory, 2 threads in turns of 4 MiB. Both end with fsync."""
    ours = sorted(run("flow_write", [EVENTS, "write: { op: filter, from: events, where: \"user_id >= 0\" }"])[0]["write"] for _ in range(repeats))
    files = sorted(glob.glob(f"{work}/flow_write/steps/write/data/part-*.h5"))
    equal = same_columns(f"{work}/flow_load/steps/events/data/dataset.h5", f"{work}/flow_write/steps/write/data/dataset.h5")
    sizes = [os.path.getsize(f) for f in files]
    copies = [f"{work}/raw-{i}" for i in range(len(sizes))]
    times = []
    for _ in range(repeats):
        for path, size in zip(copies, sizes):
            with open(path, "wb") as f:
                os.truncate(path, size)
        times.append(raw(copies, lambda part, buffer, size, at: os.pwrite(part, memoryview(buffer)[:size], at), os.O_WRONLY, sync=True))
        for path in copies:
            os.remove(path)
    seconds = sorted(times)[repeats // 2]
    conditions = f"{sum(sizes) >> 20} MiB of a dataset, with fsync; ours read from the page cache first"
    entry("write", "throng", ours[repeats // 2], 1, equal, conditions)
    entry("write", "bare loop", seconds, seconds / ours[repeats // 2], True, f"{conditions.split(';')[0]}; pwrite from memory")


def same_columns(a, b):
    with h5py.File(a) as one, h5py.File(b) as other:
        return set(one) == set(other) and all(np.array_equal(one[c][:], other[c][:]) for c in one)


def raw(paths, step, flags, sync=False):
    """Seconds that two threads take to go over all bytes of the files."""
    turn, places = 4 << 20, []
    files = [os.open(p, flags) for p in paths]
    for file in files:
        size = os.fstat(file).st_size
        places += [(file, at, min(turn, size - at)) for at in range(0, size, turn)]

    def go(mine):
        buffer = bytearray(b"x" * turn)
        for file, at, size in mine:
            if step(file, buffer, size, at) != size:
                raise OSError("a short read or write")

    from_ = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(go, [places[::2], places[1::2]]))
    for file in files:
        if sync:
            os.fsync(file)
        os.close(file)
    return time.perf_counter() - from_


def start():
    """A job of one row on two ranks, from the command to its end; beside it what mpirun takes for two processes that do nothing."""
    with open(f"{work}/one.jsonl", "w") as f:
        f.write('{"user":"a","ts":1,"item":1}\n')
    job = f"{work}/flow_start.yaml"
    with open(job, "w") as f:
        f.write("job: start\nsteps:\n  events: { op: read_events, path: one.jsonl }\n")

    def wall(command):
        from_ = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - from_

    ours = []
    for _ in range(5):
        subprocess.run(["rm", "-rf", f"{work}/flow_start"], check=True)
        ours.append(wall([throng, "run", job, "-n", "2", "--no-estimate", "--out", f"{work}/flow_start"]))
    bare = sorted(wall(["mpirun", "--allow-run-as-root", "--oversubscribe", "-n", "2", "true"]) for _ in range(5))[2]
    entry("start", "throng", sorted(ours)[2], 1, True, "a job of one row on 2 ranks, the whole command with its report; median of five")
    entry("start", "mpirun", bare, bare / sorted(ours)[2], True, "2 processes that do nothing, without MPI_Init; median of five")


if "load" not in chosen and set(chosen) - {"wordcount", "start"}:
    load_events(LAYOUTS["1 rank x 2 threads"])
for name in chosen:
    globals()[name]()
if duck:
    duck.process.stdin.close()
    duck.process.wait()
write_results()
