"""Dataflow cases against DuckDB on the events of the comparison kit: 2 threads each, own formats, median of three, answers compared row by row."""
import json
import os
import subprocess

import h5py
import numpy as np

from harness import case, export, record, run, run_cases, small, work

data = f"{work}/flow_data"
rows = 2_000_000 if small else 20_000_000
start_of_data = np.datetime64("2024-01-01T00:00:00")
duck = json.loads(subprocess.check_output(["node", os.path.join(os.path.dirname(os.path.abspath(__file__)), "flow.mjs"), os.path.abspath(work), os.path.abspath(data)]))
SOURCE = ["events: { op: read_dataset, path: flow_load/steps/events/data }", "items: { op: read_dataset, path: flow_load/steps/items/data }"]
DAY = "date_trunc('day', ts) as day"


def load():
    types = "types: { user_id: int32, item_id: int32, action: int32, value: float32 }"
    seconds, _ = run("flow_load", [f"events: {{ op: read_events, path: flow_data/events.csv, {types} }}",
                                   "items: { op: read_events, path: flow_data/items.csv, timeless: true, types: { item_id: int32, category: int32 } }"])
    run("flow_sums", [SOURCE[0], "sums: { op: aggregate, from: events, aggregates: { n: count(), u: sum(user_id), i: sum(item_id), t: \"sum(int(epoch(ts) * 1000))\", a: sum(action), v: sum(value) } }"])
    sums = export("flow_sums", "sums/data")[0][0]
    if case not in ("all", "load"):
        return
    record("load", "duckdb", seconds["events"], duck["load"]["seconds"], [float(v) for v in sums.values()] == duck["load"]["check"], f"{rows} events, {os.path.getsize(data + '/events.csv') >> 20} MiB, to own format with fsync; one run")


def median(name, steps, measured):
    """Median seconds of the steps named, over three runs."""
    times = sorted(sum(v for k, v in run(name, steps)[0].items() if k in measured) for _ in range(3))
    return times[1]


def since(text, unit):
    return int((np.datetime64(text.rstrip("Z")) - start_of_data) / np.timedelta64(1, unit))


def q1():
    seconds = median("flow_q1", [SOURCE[0], f"q1: {{ op: aggregate, from: events, by: [\"{DAY}\", action], aggregates: {{ n: count(), s: sum(value) }} }}"], {"q1"})
    ours = sorted([since(r["day"], "D"), r["action"], r["n"], r["s"]] for r in export("flow_q1", "q1/data")[0])
    record("q1", "duckdb", seconds, duck["q1"]["seconds"], ours == duck["q1"]["rows"], f"{rows} events: count and sum by action and day")


def q2():
    seconds = median("flow_q2", [SOURCE[0], f"c: {{ op: aggregate, from: events, by: [\"{DAY}\", item_id], aggregates: {{ users: count_distinct(user_id) }} }}",
                                 "q2: { op: top_k, from: c, k: 100, order: [-users, item_id], by: [day] }"], {"c", "q2"})
    ours = sorted([since(r["day"], "D"), r["rank"], r["item_id"], r["users"]] for r in export("flow_q2", "q2/data")[0])
    record("q2", "duckdb", seconds, duck["q2"]["seconds"], ours == duck["q2"]["rows"], f"{rows} events: 100 items with most distinct users, per day")


def q4():
    seconds = median("flow_q4", [*SOURCE, "j: { op: join, from: [events, items], on: [item_id], strategy: broadcast }",
                                 "q4: { op: aggregate, from: j, by: [category, \"date_trunc('hour', ts) as hour\"], aggregates: { n: count(), s: sum(value) } }"], {"j", "q4"})
    ours = sorted([r["category"], since(r["hour"], "h"), r["n"], r["s"]] for r in export("flow_q4", "q4/data")[0])
    record("q4", "duckdb", seconds, duck["q4"]["seconds"], ours == duck["q4"]["rows"], f"{rows} events joined with items: count and sum by category and hour")


def sort():
    seconds = median("flow_sort", [SOURCE[0], "sorted: { op: sort, from: events, by: [user_id, ts] }"], {"sorted"})
    with h5py.File(f"{work}/flow_sort/steps/sorted/data/dataset.h5") as f:
        user, ts = f["user_id"][:].astype(np.int64), f["ts"][:]
    ordered = bool(np.all((user[1:] > user[:-1]) | ((user[1:] == user[:-1]) & (ts[1:] > ts[:-1]))))
    check = [len(user), int(np.sum((np.arange(len(user)) % 1000003) * (user % 1009)))]
    record("sort", "duckdb", seconds, duck["sort"]["seconds"], ordered and check == duck["sort"]["check"], f"{rows} events by user and time, written to own format, ours with fsync")


load()  # the other cases read what it loads
run_cases({"q1": q1, "q2": q2, "q4": q4, "sort": sort})
