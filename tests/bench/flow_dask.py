"""Dask's side of the flow cases: 2 workers of one thread, rows in their memory, each query REPEATS times. Prints {case: {seconds, rows}}.
usage: flow_dask.py DATA TEXT REPEATS CASE.."""
import collections
import json
import sys
import time

import dask
import dask.bag
import dask.dataframe as dd
import numpy as np
import pandas as pd
from distributed import Client, LocalCluster, wait

data, text, repeats, cases = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4:]
START = 1704067200000
COLUMNS = {"user": ("user.u32", np.uint32), "item": ("item.u32", np.uint32), "ts": ("ts.i64", np.int64), "action": ("action.u8", np.uint8), "value": ("value.f32", np.float32)}


def column(name, first=0, count=-1):
    file, kind = COLUMNS[name]
    return np.fromfile(f"{data}/{file}", kind, count, offset=first * np.dtype(kind).itemsize)


def part(first, count):
    return pd.DataFrame({name: column(name, first, count) for name in COLUMNS})


def read_events():
    rows, parts = len(column("action")), 16
    cuts = [rows * k // parts for k in range(parts + 1)]
    return dd.from_delayed([dask.delayed(part)(a, b - a) for a, b in zip(cuts, cuts[1:])], meta=part(0, 0)).persist()


def q1(events):
    by = events.assign(day=(events.ts - START) // 86400000, value=events.value.astype("float64")).groupby(["day", "action"]).value.agg(["count", "sum"])
    return by.compute().reset_index()


def follow(rows):
    """Of whole users: how often an action follows another, how often that begins a session, and the milliseconds between."""
    rows = rows.sort_values(["user", "ts"])
    same = rows.user.eq(rows.user.shift())
    gap = rows.ts.diff().where(same)
    near = gap <= 1800000
    frame = pd.DataFrame({"prev": rows.action.shift().where(same).fillna(-1).astype("int64"), "action": rows.action.astype("int64"), "n": 1, "starts": (~near).astype("int64"), "dur": gap.where(near, 0).fillna(0).astype("int64")})
    return frame.groupby(["prev", "action"], as_index=False).sum()


def q3(events):
    parts = events[["user", "ts", "action"]].shuffle("user").map_partitions(follow, meta={c: "int64" for c in ("prev", "action", "n", "starts", "dur")})
    rows = parts.compute().groupby(["prev", "action"], as_index=False).sum()
    return [[None if r[0] < 0 else r[0], *r[1:]] for r in rows.values.tolist()]


def q4(events):
    items = pd.DataFrame({"item": np.fromfile(f"{data}/items_item.u32", np.uint32), "category": np.fromfile(f"{data}/items_category.u16", np.uint16)})
    joined = events[["item", "ts", "value"]].merge(items, on="item")
    return joined.assign(hour=(joined.ts - START) // 3600000, value=joined.value.astype("float64")).groupby(["category", "hour"]).value.agg(["count", "sum"]).compute().reset_index()


def wordcount(_):
    def count(lines):
        return [collections.Counter(word for line in lines for word in line.split())]

    def add(counters):
        total = collections.Counter()
        for c in counters:
            total.update(c)
        return total
    return list(dask.bag.read_text(text, blocksize="8MiB").map_partitions(count).reduction(add, add, split_every=4).compute().items())


if __name__ == "__main__":
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster):
        events = read_events() if any(c != "wordcount" for c in cases) else None
        wait(events)
        result = {}
        for name in cases:
            times = []
            for _ in range(repeats):
                start = time.perf_counter()
                rows = globals()[name](events)
                times.append(time.perf_counter() - start)
            result[name] = {"seconds": sorted(times)[repeats // 2], "rows": rows if isinstance(rows, list) else rows.values.tolist()}
    print(json.dumps(result))
