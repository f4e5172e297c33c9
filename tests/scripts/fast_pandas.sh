#!/bin/bash
# Relational and behavioural operators against pandas and plain Python, value by value: events with nulls, ties, repeats and one heavy
# user; inputs without rows; files of every format; the same results on 1, 2 and 5 ranks, and where a reader wants one column only.
set -eu
python=/usr/bin/python3
$python -c 'import h5py, pandas' 2>/dev/null || { echo "skipped: $python has no pandas or no h5py"; exit 77; }
work=$(mktemp -d -p /dev/shm 2> /dev/null || mktemp -d)  # thousands of small files
trap 'rm -rf "$work"' EXIT
cd "$work"
cat > check.py <<'PY'
import collections, concurrent.futures, csv, datetime, functools, gzip, json, math, os, random, shutil, subprocess, sys, warnings, zoneinfo
import h5py
import pandas as pd

warnings.simplefilter("ignore", FutureWarning)
rng = random.Random(int(os.environ.get("SEED", 17)))
THRONG, S, H, D = os.environ["THRONG"], 10**6, 3600 * 10**6, 86400 * 10**6
failures = []
def check(name, fine, what=""):
    if not fine: failures.append(name); print(f"FAIL {name}: {what}")

# ------------------------------------------------------------------------------------------------------------------ input
T0 = 1704067200 * S
def maybe(value, share=0.1): return None if rng.random() < share else value
def event():
    user = "u0" if rng.random() < 0.6 else rng.choice(["u%d" % rng.randrange(1, 40), "s%d" % rng.randrange(10**6), "用户é", ""])
    value = rng.choice([rng.randrange(-8, 9) / 4, round(rng.gauss(0, 300), 3), 0.0])
    return {"user": maybe(user, 0.05), "item": maybe("i%d" % int(rng.expovariate(0.1)) if rng.random() < 0.95 else ""),
            "ts": T0 + (rng.randrange(40 * 24 * 12) * 300 * S if rng.random() < 0.5 else rng.randrange(40 * D)),
            "action": maybe(rng.choice(["view"] * 4 + ["like", "like", "buy", "分享"]), 0.05), "text": maybe(rng.choice(["", "a,b", 'say "x"\nnow', "héllo 世界", "plain", "abcdefgh1", "abcdefgh0"])),
            "value": maybe(value), "flag": rng.random() < 0.3, "count": maybe(rng.randrange(-10**15, 10**15) if rng.random() < 0.3 else rng.randrange(9)),
            "small": maybe(rng.randrange(-5, 6)), "half": maybe(rng.randrange(-9, 9) / 4), "t2": maybe(T0 + rng.randrange(40 * 24) * H, 0.2),
            "tags": rng.choice([None, [], ["a"], ["b", "", "世"], ["a", "a"]])}
events = []
for i in range(1000): events.append(dict(rng.choice(events)) if events and rng.random() < 0.05 else event())
quotes = [{"ts": T0 + rng.randrange(40 * 24 * 12) * 300 * S, "t2": maybe(T0 + rng.randrange(40 * 24) * H, 0.2), "item": maybe("i%d" % rng.randrange(60)), "price": rng.randrange(400) / 4}
          for i in range(250)]
for q in quotes: q["value"], q["code"], q["grade"] = maybe(rng.randrange(99) / 2), q["item"], maybe(rng.randrange(-5, 6))
COLUMNS = list(events[0])
def stamp(us): return None if us is None else f"{(datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=us)).isoformat()}Z"
TIMES = {"ts", "t2", "ts_right", "t2_right", "ts_q", "t2_q", "window_start", "window_end", "session_start", "session_end", "cohort", "day", "hour", "lo_ts", "hi_t2", "before_ts"}
def micros(text):
    return None if text is None else (datetime.datetime.fromisoformat(text.replace("Z", "+00:00")) - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)) // datetime.timedelta(microseconds=1)
for name, rows in (("events", events), ("quotes", quotes)):
    with open(name + ".jsonl", "w") as f:
        for r in rows: f.write(json.dumps({k: stamp(v) if k in TIMES else v for k, v in r.items()}) + "\n")

def rank_of(v):  # nulls first, text by bytes
    return (0, 0) if v is None else (1, v.encode() if isinstance(v, str) else v)
def order_of(by):
    def compare(a, b):
        for c in by:
            falling, name = c.startswith("-"), c.lstrip("-")
            x, y = rank_of(a[name]), rank_of(b[name])
            if x != y: return (1 if x > y else -1) * (-1 if falling else 1)
        return 0
    return functools.cmp_to_key(compare)
def key_of(row, by): return tuple(row[c] for c in by)
def groups_of(rows, by):
    groups = {}
    for r in rows: groups.setdefault(key_of(r, by), []).append(r)
    return groups
def frozen(row): return tuple((k, tuple(v) if isinstance(v, list) else v) for k, v in row.items())
def close(a, b, tolerance=1e-9): return (a is None) == (b is None) and (a is None or abs(a - b) <= tolerance * max(1, abs(a), abs(b)))
def same_row(a, b):
    return list(a) == list(b) and all(close(a[k], b[k]) if isinstance(b[k], float) and isinstance(a[k], (int, float)) else a[k] == b[k] for k in b)

# Each test: its step, what it should give, and how its rows are compared.
steps, tests = {}, {}
def step(name, params, expected, kind="exact", by=()):
    steps[name], tests[name] = params, (expected, kind, by)

# ------------------------------------------------------------------------------------------------------------------ aggregate
def pandas_groups(rows, by):
    frame = pd.DataFrame(rows, columns=COLUMNS + ["day"]).astype({"value": float, "half": float, "small": "Int64", "count": "Int64", "ts": "Int64", "t2": "Int64", "day": "Int64"})
    return frame.groupby(list(by), dropna=False, sort=False) if by else [((), frame)]
AGGREGATES = {"n": "count()", "values": "count(value)", "total": "sum(value)", "counts": "sum(count)", "smalls": "sum(small)", "avg": "mean(value)", "avg_int": "mean(count)",
              "var": "variance(value)", "sd": "stddev(small)", "var_pop": "variance_pop(half)", "sd_pop": "stddev_pop(value)",
              "lo": "min(value)", "hi": "max(value)", "lo_user": "min(user)", "hi_text": "max(text)", "lo_small": "min(small)", "hi_small": "max(small)",
              "lo_half": "min(half)", "hi_half": "max(half)", "lo_flag": "min(flag)", "hi_flag": "max(flag)", "hi_count": "max(count)", "lo_ts": "min(ts)", "hi_t2": "max(t2)",
              "first_item": "first(item)", "last_item": "last(item)", "first_small": "first(small)", "last_half": "last(half, t2)", "first_flag": "first(flag, small)", "last_text": "last(text, count)",
              "users": "count_distinct(user)", "numbers": "count_distinct(value)", "pairs": "count_distinct(small * 2)", "users2": "approx_distinct(user)", "stamps2": "approx_distinct(ts)",
              "p90": "quantile(value, 0.9)", "p0": "quantile(value, 0)", "mid": "median(count)", "top": "top_k(item, 3)", "top_small": "top_k(small, 2)"}
def aggregates(g):
    lists = {c: [None if v is pd.NA or v is None or v != v else v for v in g[c].tolist()] for c in COLUMNS if c != "tags"}
    def values(c): return lists[c]
    def there(c): return [v for v in lists[c] if v is not None]
    def number(x): return None if pd.isna(x) else x.item() if hasattr(x, "item") else x
    def extreme(c, f): return f(there(c), key=rank_of, default=None)
    def by_time(c, t, last):
        pairs = [(b, a) for a, b in zip(values(c), values(t)) if a is not None and b is not None]
        if not pairs: return None
        best = (max if last else min)(p[0] for p in pairs)
        return [a for b, a in pairs if b == best][-1 if last else 0]
    def quantile(c, q):
        v = sorted(there(c))
        return float(v[math.floor(q * (len(v) - 1))]) if v else None
    def top(c, k): return [v for v, n in sorted(collections.Counter(str(v) for v in there(c)).items(), key=lambda e: (-e[1], e[0].encode()))[:k]]
    return {"n": len(g), "values": int(g.value.count()), "total": number(g.value.sum(min_count=1)), "counts": sum(map(int, there("count"))) if there("count") else None,
            "smalls": sum(map(int, there("small"))) if there("small") else None, "avg": number(g.value.mean()), "avg_int": sum(map(float, there("count"))) / len(there("count")) if there("count") else None,
            "var": number(g.value.var()), "sd": number(g.small.astype(float).std()), "var_pop": number(g.half.var(ddof=0)), "sd_pop": number(g.value.std(ddof=0)),
            "lo": number(g.value.min()), "hi": number(g.value.max()), "lo_user": extreme("user", min), "hi_text": extreme("text", max), "lo_small": extreme("small", min), "hi_small": extreme("small", max),
            "lo_half": number(g.half.min()), "hi_half": number(g.half.max()), "lo_flag": extreme("flag", min), "hi_flag": extreme("flag", max), "hi_count": extreme("count", max), "lo_ts": extreme("ts", min),
            "hi_t2": extreme("t2", max), "first_item": by_time("item", "ts", False), "last_item": by_time("item", "ts", True), "first_small": by_time("small", "ts", False),
            "last_half": by_time("half", "t2", True), "first_flag": by_time("flag", "small", False), "last_text": by_time("text", "count", True),
            "users": g.user.nunique(), "numbers": g.value.nunique(), "pairs": g.small.nunique(), "users2": g.user.nunique(), "stamps2": g.ts.nunique(),
            "p90": quantile("value", 0.9), "p0": quantile("value", 0), "mid": quantile("count", 0.5), "top": top("item", 3), "top_small": top("small", 2)}
def aggregate(rows, by):
    rows = [dict(r, day=r["ts"] // D * D) for r in rows]
    out = []
    for key, g in pandas_groups(rows, by):
        key = key if isinstance(key, tuple) else (key,)
        out.append(dict(zip(by, (None if pd.isna(k) else k for k in key)), **aggregates(g)))
    return out
for by in ([], ["user"], ["action", "day"], ["flag", "small"]):
    step("agg_" + "_".join(by), {"op": "aggregate", "from": "events", "by": ["date_trunc('day', ts) as day" if c == "day" else c for c in by], "aggregates": AGGREGATES},
         lambda e, q, by=by: aggregate(e, by), "aggregate", by)

# ------------------------------------------------------------------------------------------------------------------ sort, limit, distinct, top_k
for by in (["user", "-ts"], ["-value", "user"], ["flag", "-count", "text"], ["-text"], ["half"], ["-t2", "small"], ["user"], ["-flag"]):
    step("sort_" + "_".join(c.replace("-", "f") for c in by), {"op": "sort", "from": "events", "by": by}, lambda e, q, by=by: sorted(e, key=order_of(by)))
for rows, offset in ((10, 0), (300, 5), (400, 577), (5, 998), (5, 9999), (0, 0), (2**63 - 1, 3)):
    step(f"limit_{min(rows, 99999)}_{offset}", {"op": "limit", "from": "events", "rows": rows, "offset": offset}, lambda e, q, rows=rows, offset=offset: e[offset:offset + rows])
step("limit_sorted", {"op": "limit", "from": "sort_user_fts", "rows": 300, "offset": 350}, lambda e, q: sorted(e, key=order_of(["user", "-ts"]))[350:650])
for on in ([], ["user"], ["user", "item"], ["flag", "tags"], ["value"], ["t2"]):
    for keep in ("first", "last") if len(on) == 1 else ("first",):
        step(f"distinct_{keep}_" + "_".join(on), {"op": "distinct", "from": "events", "on": on, "keep": keep},
             lambda e, q, on=on, keep=keep: [g[0 if keep == "first" else -1] for g in groups_of([dict(r, tags=tuple(r["tags"]) if r["tags"] is not None else None) for r in e], on or COLUMNS).values()], "grouped", on or COLUMNS)
def top_k(rows, k, order, by):
    return [dict(r, rank=i + 1) for g in groups_of(rows, by).values() for i, r in enumerate(sorted(g, key=order_of(order))[:k])]
for k, order, by in ((2, ["-ts"], ["user"]), (3, ["value", "-count"], ["action", "flag"]), (50, ["-value"], []), (7, ["text"], []), (1, ["-half"], ["item"]), (40, ["-ts"], ["user"]), (9999, ["-ts"], ["user"])):
    step(f"top_{k}_{order[0].replace('-', 'f')}_" + "_".join(by), {"op": "top_k", "from": "events", "k": k, "order": order, "by": by}, lambda e, q, k=k, order=order, by=by: top_k(e, k, order, by), "grouped", by)

# ------------------------------------------------------------------------------------------------------------------ join, union
def join(left, right, on, right_on, how, suffix):
    left_frame = pd.DataFrame([key_of(r, on) + (i,) for i, r in enumerate(left)], columns=[f"k{i}" for i in range(len(on))] + ["l"], dtype=object)
    right_frame = pd.DataFrame([key_of(r, right_on) + (i,) for i, r in enumerate(right)], columns=[f"k{i}" for i in range(len(on))] + ["r"], dtype=object)
    pairs = [(int(l), int(r)) for l, r in left_frame.dropna().merge(right_frame.dropna(), on=[f"k{i}" for i in range(len(on))])[["l", "r"]].values]
    met, met_right = {l for l, r in pairs}, {r for l, r in pairs}
    if how == "semi": return [r for i, r in enumerate(left) if i in met]
    if how == "anti": return [r for i, r in enumerate(left) if i not in met]
    if how in ("left", "full"): pairs += [(i, None) for i in range(len(left)) if i not in met]
    if how in ("right", "full"): pairs += [(None, i) for i in range(len(right)) if i not in met_right]
    return [joined(left[l] if l is not None else None, right[r] if r is not None else None, on, right_on, suffix) for l, r in sorted(pairs, key=lambda p: [math.inf if i is None else i for i in p])]
LEFT, RIGHT = COLUMNS, list(quotes[0])
def joined(l, r, on, right_on, suffix):
    out = {c: l[c] if l else None for c in LEFT}
    if not l: out.update(zip(on, key_of(r, right_on)))
    for c in RIGHT:
        if c not in right_on: out[c + suffix if c in LEFT else c] = r[c] if r else None
    return out
for how in ("inner", "left", "right", "full", "semi", "anti"):
    step(f"join_{how}", {"op": "join", "from": ["events", "quotes"], "on": ["item"], "how": how, "strategy": "shuffle"}, lambda e, q, how=how: join(e, q, ["item"], ["item"], how, "_right"), "grouped", ["item"])
    step(f"join_{how}_on", {"op": "join", "from": ["events", "quotes"], "on": ["item", "small"], "right_on": ["code", "grade"], "how": how, "suffix": "_q", "strategy": "shuffle"},
         lambda e, q, how=how: join(e, q, ["item", "small"], ["code", "grade"], how, "_q"), "grouped", ["item", "small"])
for how in ("inner", "left", "semi", "anti"):  # in the order of the left rows, where the right ones are few
    for strategy in ("broadcast", "auto"):
        step(f"join_{how}_{strategy}", {"op": "join", "from": ["events", "quotes"], "on": ["item"], "how": how, "strategy": strategy}, lambda e, q, how=how: join(e, q, ["item"], ["item"], how, "_right"))
        step(f"join_{how}_{strategy}_on", {"op": "join", "from": ["events", "quotes"], "on": ["item", "small"], "right_on": ["code", "grade"], "how": how, "suffix": "_q", "strategy": strategy},
             lambda e, q, how=how: join(e, q, ["item", "small"], ["code", "grade"], how, "_q"))
def asof(left, right, ts, tolerance):
    L = pd.DataFrame([(r["item"], r[ts], i) for i, r in enumerate(left) if r["item"] is not None and r[ts] is not None], columns=["item", "t", "l"]).astype({"t": "int64"}).sort_values("t", kind="stable")
    R = pd.DataFrame([(r["item"], r[ts], i) for i, r in enumerate(right) if r["item"] is not None and r[ts] is not None], columns=["item", "t", "r"]).astype({"t": "int64"}).sort_values("t", kind="stable")
    found = {int(l): int(r) for l, r in pd.merge_asof(L, R, on="t", by="item", tolerance=tolerance)[["l", "r"]].dropna().values} if len(L) and len(R) else {}
    return [joined(l, right[found[i]] if i in found else None, ["item"], ["item"], "_right") for i, l in sorted(enumerate(left), key=lambda p: rank_of(p[1][ts]))]
for ts in ("ts", "t2"):
    for tolerance in (None, "30h"):
        step(f"asof_{ts}_{tolerance}", {"op": "join", "from": ["events", "quotes"], "on": ["item"], "how": "asof", "ts": ts, **({"tolerance": tolerance} if tolerance else {})},
             lambda e, q, ts=ts, tolerance=tolerance: asof(e, q, ts, 30 * H if tolerance else None), "grouped", ["item"])
step("join_counts", {"op": "join", "from": ["events", "agg_user"], "on": ["user"], "how": "left"}, None)
step("join_itself", {"op": "join", "from": ["quotes", "quotes"], "on": ["item"], "strategy": "shuffle"}, lambda e, q: [dict(a, **{c + "_right": b[c] for c in RIGHT if c != "item"}) for a in q for b in q if a["item"] == b["item"] is not None], "grouped", ["item"])
step("join_cross", {"op": "join", "from": ["quotes", "quotes"], "on": ["item"], "right_on": ["code"], "strategy": "shuffle"},
     lambda e, q: [dict(a, **{c + "_right": b[c] for c in RIGHT if c != "code"}) for a in q for b in q if a["item"] == b["code"] is not None], "grouped", ["item"])
def union(parts, columns): return [dict({c: r.get(c) for c in columns}, part=i) for i, rows in enumerate(parts) for r in rows]
step("union_all", {"op": "union", "from": ["events", "quotes", "events"], "columns": "all", "source": "part"}, lambda e, q: union([e, q, e], COLUMNS + ["price", "code", "grade"]))
step("union_common", {"op": "union", "from": ["quotes", "events"], "columns": "common", "source": "part"}, lambda e, q: union([q, e], [c for c in RIGHT if c in LEFT]))
step("union_same", {"op": "union", "from": ["sort_user", "limit_300_5"]}, lambda e, q: sorted(e, key=order_of(["user"])) + e[5:305])

# ------------------------------------------------------------------------------------------------------------------ sample, split
step("sample_rows", {"op": "sample", "from": "events", "rows": 321}, 321, "sample")
step("sample_most", {"op": "sample", "from": "events", "rows": 99999}, lambda e, q: e)
step("sample_share", {"op": "sample", "from": "events", "fraction": 0.3}, 0.3, "sample")
step("sample_all", {"op": "sample", "from": "events", "fraction": 1}, lambda e, q: e)
step("sample_users", {"op": "sample", "from": "events", "fraction": 0.4, "by": "user"}, 0.4, "sample_users")
def split_time(e, fraction):
    cuts = sorted({r["ts"] for r in e})
    cut = min((c for c in cuts + [math.inf] if sum(r["ts"] >= c for r in e) <= int(fraction * len(e))), default=0)
    return [dict(r, holdout=r["ts"] >= cut) for r in e]
step("split_time", {"op": "split", "from": "events", "fraction": 0.25}, lambda e, q: split_time(e, 0.25))
step("split_at", {"op": "split", "from": "events", "at": stamp(T0 + 9 * D)}, lambda e, q: [dict(r, holdout=r["ts"] >= T0 + 9 * D) for r in e])
step("split_last", {"op": "split", "from": "events", "by": "last"},
     lambda e, q: [dict(r, holdout=k[0] is not None and i == len(g) - 1) for k, g in groups_of(sorted(e, key=order_of(["ts"])), ["user"]).items() for i, r in enumerate(g)], "grouped", ["user"])
step("split_user", {"op": "split", "from": "events", "by": "user", "fraction": 0.3}, 0.3, "split_user")

# ------------------------------------------------------------------------------------------------------------------ explode, window, sessionize
def explode(rows, name, position, outer):
    for r in rows:
        elements = list(enumerate(r["tags"] or [])) or ([(None, None)] if outer else [])
        for i, element in elements: yield dict(r, **{name: element}, **({position: i} if position else {}))
step("explode", {"op": "explode", "from": "events", "column": "tags"}, lambda e, q: list(explode(e, "tags", "", False)))
step("explode_outer", {"op": "explode", "from": "events", "column": "tags", "as": "tag", "position": "place", "outer": True}, lambda e, q: list(explode(e, "tag", "place", True)))
MONDAY = 4 * D
def slots(ts, width):  # the begin of ts's slot and of the one after, in UTC
    if width % D == 0 or width > D:
        start = (ts - MONDAY) // width * width + MONDAY
        return start, start + width
    day = ts // D * D
    start = day + (ts - day) // width * width
    return start, min(start + width, day + D)
def windows(rows, ts, size, slide):
    for r in rows:
        if r[ts] is None: continue
        starts = [slots(r[ts], slide)[0]]
        while len(starts) < size // slide: starts.insert(0, slots(starts[0] - 1, slide)[0])
        for start in starts:
            end = start
            for _ in range(size // slide): end = slots(end, slide)[1]
            yield dict(r, window_start=start, window_end=end)
for kind, ts, size, slide, params in (("tumbling", "ts", H, H, {"size": "1h"}), ("tumbling", "t2", 7 * D, 7 * D, {"size": "7d"}), ("tumbling", "ts", 7 * H, 7 * H, {"size": "7h"}),
                                      ("sliding", "ts", 2 * D, D, {"size": "2d", "slide": "1d"}), ("sliding", "t2", 6 * H, H, {"size": "6h", "slide": "1h"}), ("sliding", "ts", 14 * H, 7 * H, {"size": "14h", "slide": "7h"})):
    step(f"window_{kind}_{ts}_{params['size']}", {"op": "window", "from": "events", "kind": kind, "ts": ts, **params}, lambda e, q, ts=ts, size=size, slide=slide: list(windows(e, ts, size, slide)))
# Local days, across changes of clocks in both directions.
zone = zoneinfo.ZoneInfo("America/New_York")
def local_days(rows):
    for r in rows:
        day = (datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc) + datetime.timedelta(microseconds=r["ts"])).astimezone(zone).date()
        at = [int(datetime.datetime.combine(day + datetime.timedelta(days=k), datetime.time(), zone).timestamp()) * S for k in (-1, 0, 1, 2)]
        for k in (0, 1): yield dict(r, window_start=at[k], window_end=at[k + 2])
step("window_zone", {"op": "window", "from": "zoned", "kind": "sliding", "size": "2d", "slide": "1d"}, "zone")
def sessions(rows, by, ts, gap, longest=0):
    for key, g in groups_of([r for r in rows if r[by] is not None and r[ts] is not None], [by]).items():
        g, cut = sorted(g, key=lambda r: r[ts]), []
        for r in g:
            if not cut or r[ts] - cut[-1][-1][ts] > gap or (longest and r[ts] - cut[-1][0][ts] > longest): cut.append([])
            cut[-1].append(r)
        yield key[0], cut
step("window_session", {"op": "window", "from": "events", "kind": "session", "gap": "2h"},
     lambda e, q: [dict(r, window_start=s[0]["ts"], window_end=s[-1]["ts"] + 2 * H) for u, cut in sessions(e, "user", "ts", 2 * H) for s in cut for r in s], "grouped", ["user"])
step("window_session_t2", {"op": "window", "from": "events", "kind": "session", "gap": "5h", "by": "small", "ts": "t2"},
     lambda e, q: [dict(r, window_start=s[0]["t2"], window_end=s[-1]["t2"] + 5 * H) for u, cut in sessions(e, "small", "t2", 5 * H) for s in cut for r in s], "grouped", ["small"])
for name, longest in (("plain", 0), ("long", 3 * H)):
    step(f"sessions_{name}", {"op": "sessionize", "from": "events", "gap": "1h", "max_length": f"{longest // H}h"},
         lambda e, q, longest=longest: [dict(r, session=i, session_start=s[0]["ts"], session_position=k) for u, cut in sessions(e, "user", "ts", H, longest) for i, s in enumerate(cut) for k, r in enumerate(s)], "grouped", ["user"])
step("sessions_summary", {"op": "sessionize", "from": "events", "gap": "1h", "summary": True},
     lambda e, q: [{"user": u, "session": i, "session_start": s[0]["ts"], "session_end": s[-1]["ts"], "events": len(s), "seconds": (s[-1]["ts"] - s[0]["ts"]) / 1e6} for u, cut in sessions(e, "user", "ts", H) for i, s in enumerate(cut)], "grouped", ["user"])

# ------------------------------------------------------------------------------------------------------------------ over, fill_gaps
FRAMED = {"first": "first(text)", "last": "last(small)", "n": "count()", "values": "count(value)", "total": "sum(value)", "counts": "sum(count)", "halves": "sum(half * 2)", "avg": "mean(value)", "avg_int": "mean(small)",
          "lo": "min(value)", "hi": "max(text)", "lo_ts": "min(ts)", "hi_flag": "max(flag)", "var": "variance(value)", "sd": "stddev(count)", "var_pop": "variance_pop(small)", "sd_pop": "stddev_pop(half)"}
PLACED = {"before_action": "lag(action)", "before_ts": "lag(ts, 2)", "after_tags": "lead(tags)", "after_value": "lead(value + 1, 3)", "k": "row_number()", "r": "rank()", "d": "dense_rank()", "q": "ntile(4)"}
def framed(rows):
    def there(c): return [r[c] for r in rows if r[c] is not None]
    def variance(c, population, root):
        v = [float(x) for x in there(c)]
        if len(v) < 2 - population: return None
        mean = math.fsum(v) / len(v)
        out = math.fsum((x - mean) ** 2 for x in v) / (len(v) - (not population))
        return math.sqrt(out) if root else out
    def mean(c): return math.fsum(there(c)) / len(there(c)) if there(c) else None
    def total(c, times=1): return None if not there(c) else sum(there(c)) * times if c == "count" else math.fsum(there(c)) * times
    return {"first": rows[0]["text"] if rows else None, "last": rows[-1]["small"] if rows else None, "n": len(rows), "values": len(there("value")), "total": total("value"), "counts": total("count"), "halves": total("half", 2),
            "avg": mean("value"), "avg_int": mean("small"), "lo": min(there("value"), default=None), "hi": max(there("text"), key=rank_of, default=None), "lo_ts": min(there("ts"), default=None),
            "hi_flag": max(there("flag"), default=None), "var": variance("value", False, False), "sd": variance("count", False, True), "var_pop": variance("small", True, False), "sd_pop": variance("half", True, True)}
def over(rows, by, order, frame):
    for g in groups_of(rows, by).values():
        g = sorted(g, key=order_of(order))
        keys = [tuple(rank_of(r[c.lstrip("-")]) for c in order) for r in g]
        starts, n = [0] * len(g), len(g)  # first row that ties with each
        for i in range(1, n): starts[i] = starts[i - 1] if keys[i] == keys[i - 1] else i
        ends, dense = [n] * n, [1] * n
        for i in range(n - 2, -1, -1): ends[i] = ends[i + 1] if keys[i] == keys[i + 1] else i + 1
        for i in range(1, n): dense[i] = dense[i - 1] + (starts[i] == i)
        def at(i, f): return f(g[i]) if 0 <= i < n else None
        tiles = [t + 1 for t in range(4) for _ in range(n // 4 + (t < n % 4))]
        for i, r in enumerate(g):
            first, end = (0, ends[i]) if frame is None else (0 if frame[0] is None else max(0, i + frame[0]), n if frame[1] is None else max(0, min(n, i + frame[1] + 1)))
            yield dict(r, before_action=at(i - 1, lambda r: r["action"]), before_ts=at(i - 2, lambda r: r["ts"]), after_tags=at(i + 1, lambda r: r["tags"]),
                       after_value=at(i + 3, lambda r: None if r["value"] is None else r["value"] + 1), k=i + 1, r=starts[i] + 1, d=dense[i], q=tiles[i], **framed(g[first:end]))
for name, by, order, frame in (("default", ["user"], ["ts"], None), ("whole", ["item", "flag"], [], None), ("before", ["action", "flag"], ["-value", "ts"], (-24, -1)), ("around", [], ["-t2", "text"], (-3, 2)),
                               ("running", ["user"], ["small"], (None, 0)), ("rest", ["small"], ["-half"], (1, None)), ("ahead", ["user"], ["text", "-ts"], (2, 9))):
    rows = [] if frame is None else ["unbounded" if v is None else v for v in frame]
    step("over_" + name, {"op": "over", "from": "events", "by": by, "order": order, "rows": rows, "columns": {**PLACED, **FRAMED}}, lambda e, q, by=by, order=order, frame=frame: list(over(e, by, order, frame)), "grouped", by)
def hourly(rows): return [dict(zip(("action", "hour"), k), n=len(g), total=None if not (v := [r["value"] for r in g if r["value"] is not None]) else math.fsum(v), word=max((r["text"] for r in g if r["text"] is not None), key=rank_of, default=None))
                          for k, g in groups_of([dict(r, hour=r["ts"] // H * H) for r in rows], ["action", "hour"]).items()]
step("hourly", {"op": "aggregate", "from": "events", "by": ["action", "date_trunc('hour', ts) as hour"], "aggregates": {"n": "count()", "total": "sum(value)", "word": "max(text)"}}, lambda e, q: hourly(e), "grouped", ["action", "hour"])
def fill_gaps(rows, by, every, start, end, each):
    rows = sorted([r for r in rows if (start is None or r["hour"] >= start) and (end is None or r["hour"] < end)], key=order_of(["hour", "action"]))
    if not rows and (by or start is None or end is None): return
    for key, g in ([((), rows)] if not by else groups_of(rows, by).items()):
        own = g if each else rows
        grid = range(own[0]["hour"] if start is None else start, own[-1]["hour"] + every if end is None else end, every)
        repeats = collections.Counter(r["hour"] for r in g)
        frame = pd.DataFrame({r["hour"]: r for r in g} or {0: dict.fromkeys(("action", "hour", "n", "total", "word"))}, dtype=object).T
        plain, before, index = frame.reindex(grid), frame.reindex(grid, method="ffill"), iter(g)
        for t in grid:
            for _ in range(repeats[t]): yield next(index)
            if not repeats[t]: yield dict({"action": None, "hour": t, "n": 0, "total": None if pd.isna(v := before.total[t]) else v, "word": None}, **dict(zip(by, key)))
step("hourly_sorted", {"op": "sort", "from": "hourly", "by": ["action", "hour"]}, lambda e, q: sorted(hourly(e), key=order_of(["action", "hour"])))
for name, by, every, start, end, each in (("all", ["action"], "1h", None, None, False), ("key", ["action"], "1h", None, None, True), ("given", ["action"], "1h", T0 + 5 * D, T0 + 31 * D + H // 2, False),
                                          ("from", ["action"], "1h", T0 + 35 * D, None, False), ("from_key", ["action"], "1h", T0 + 35 * D, None, True), ("until", ["action"], "1h", None, T0 + 3 * D, False),
                                          ("one", [], "1h", T0 - D, T0 + 2 * D, False), ("half", ["action"], "30m", None, T0 + 3 * D, True)):
    step("fill_" + name, {"op": "fill_gaps", "from": "hourly_sorted" if name == "one" else "hourly", "by": by, "ts": "hour", "every": every, "range": "key" if each else "all", "fill": {"n": 0, "total": "previous"}, **({"start": stamp(start)} if start else {}), **({"end": stamp(end)} if end else {})},
         lambda e, q, by=by, every=every, start=start, end=end, each=each: list(fill_gaps(hourly(e), by, H if every == "1h" else H // 2, start, end, each)), "grouped", by)

# ------------------------------------------------------------------------------------------------------------------ transitions, funnel, retention
def text(v): return str(v).lower() if isinstance(v, bool) else str(v)
def by_user(rows, ts="ts", by="user"): return groups_of(sorted([r for r in rows if r[by] is not None and r[ts] is not None], key=lambda r: r[ts]), [by]).values()
def transitions(rows, value="action", segment=None, within=0, repeats=True, ts="ts"):
    counts, users = collections.Counter(), collections.defaultdict(set)
    for n, g in enumerate(by_user(rows, ts)):
        g = [r for r in g if r[value] is not None]
        for a, b in zip(g, g[1:]):
            if (within and b[ts] - a[ts] > within) or (not repeats and a[value] == b[value]): continue
            key = ((text(a[segment]),) if segment else ()) + (text(a[value]), text(b[value]))
            counts[key] += 1
            users[key].add(n)
    totals = collections.Counter()
    for k, n in counts.items(): totals[k[:-1]] += n
    names = (["segment"] if segment else []) + ["from", "to"]
    return [dict(zip(names, k), count=counts[k], users=len(users[k]), share=counts[k] / totals[k[:-1]]) for k in sorted(counts, key=lambda k: [t.encode() for t in k])]
TRANSITIONS = [("plain", {}, {}), ("segment", {"segment": "flag"}, {"segment": "flag"}), ("within", {"within": "6h"}, {"within": 6 * H}), ("changes", {"repeats": False}, {"repeats": False}),
               ("numbers", {"value": "small", "segment": "flag", "within": "2d", "repeats": False}, {"value": "small", "segment": "flag", "within": 2 * D, "repeats": False}), ("t2", {"ts": "t2", "within": "1d"}, {"ts": "t2", "within": D})]
for name, params, ours in TRANSITIONS: step("transitions_" + name, {"op": "transitions", "from": "events", **params}, lambda e, q, ours=ours: transitions(e, **ours))
# Conditions may overlap: a later step's event may begin a chain of its own.
CONDITIONS = {"disjoint": {"saw": ("action == 'view'", lambda r: r["action"] == "view"), "liked": ("action == 'like'", lambda r: r["action"] == "like"), "bought": ("action == 'buy'", lambda r: r["action"] == "buy")},
              "overlap": {"any": ("action == 'view' or action == 'like'", lambda r: r["action"] in ("view", "like")), "liked": ("action == 'like'", lambda r: r["action"] == "like"),
                          "high": ("value > 50", lambda r: (r["value"] or 0) > 50), "end": ("flag or value > 100", lambda r: r["flag"] or (r["value"] or 0) > 100)},
              "same": {c: ("action == 'buy'", lambda r: r["action"] == "buy") for c in "abcd"}}
def funnel(rows, conditions, within, ts, by):
    users, seconds = [0] * len(conditions), [[] for _ in conditions]
    for g in by_user(rows, ts, by):
        best = {}  # step: first place where a chain came so far, and the newest begin of such a chain
        for i, r in enumerate(g):
            if not conditions[0](r): continue
            at = i
            for k in range(len(conditions)):
                if k > 0: at = next((j for j in range(at + 1, len(g)) if conditions[k](g[j])), None)
                if at is None or (within and g[at][ts] - r[ts] > within): break
                best[k] = min(best.get(k, (at, 0)), (at, -i))
        for k, (at, i) in best.items(): users[k] += 1; seconds[k].append((g[at][ts] - g[-i][ts]) / 1e6)
    return [(n, sorted(s)) for n, s in zip(users, seconds)]
for name, conditions in CONDITIONS.items():
    for label, within, ts, by in (("1d", D, "ts", "user"), ("0s", 0, "ts", "user"), ("3d", 3 * D, "ts", "item"), ("8d", 8 * D, "t2", "item")):
        step(f"funnel_{name}_{label}", {"op": "funnel", "from": "events", "steps": {k: c[0] for k, c in conditions.items()}, "within": label, "ts": ts, "by": by},
             lambda e, q, c=conditions, within=within, ts=ts, by=by: list(zip(c, funnel(e, [f for _, f in c.values()], within, ts, by))), "funnel")
def retention(rows, period, start, active, periods):
    sizes, users = collections.Counter(), collections.defaultdict(set)
    newest = None
    for n, g in enumerate(by_user(rows)):
        first = next((i for i, r in enumerate(g) if start(r)), None)
        if first is None: continue
        cohort = slots(g[first]["ts"], period)[0]
        sizes[cohort] += 1
        newest = max(cohort, newest or cohort)
        for r in g[first:]:
            if active(r):
                at = slots(r["ts"], period)[0]
                users[cohort, (at - cohort) // period].add(n)
                newest = max(newest, at)
    out = []
    for c in sorted(sizes):
        last = (newest - c) // period
        for p in range(min(last, periods or last) + 1): out.append({"cohort": c, "cohort_users": sizes[c], "period": p, "users": len(users[c, p]), "share": len(users[c, p]) / sizes[c]})
    return out
always = lambda r: True
step("retention", {"op": "retention", "from": "events"}, lambda e, q: retention(e, 7 * D, always, always, 0))
step("retention_day", {"op": "retention", "from": "events", "period": "1d", "start": "action == 'buy'", "active": "value > 0", "periods": 5},
     lambda e, q: retention(e, D, lambda r: r["action"] == "buy", lambda r: (r["value"] or 0) > 0, 5))
step("retention_none", {"op": "retention", "from": "events", "active": "false"}, lambda e, q: retention(e, 7 * D, always, lambda r: False, 0))
# Rows that already lie together by user, but in another order of time.
for name, source, rows in (("top", "top_9999_fts_user", lambda e: e), ("top40", "top_40_fts_user", lambda e: top_k(e, 40, ["-ts"], ["user"])), ("sort", "sort_user_fts", lambda e: sorted(e, key=order_of(["user", "-ts"]))),
                           ("sessions", "sessions_plain", lambda e: e), ("windows", "window_session", lambda e: e), ("asof", "asof_ts_None", lambda e: e)):
    rows2 = lambda e, q, rows=rows: rows(e)
    if name == "top": rows2 = lambda e, q: top_k(e, 9999, ["-ts"], ["user"])
    if name == "asof": continue
    step(f"after_{name}_transitions", {"op": "transitions", "from": source}, lambda e, q, rows2=rows2: transitions(rows2(e, q)))
    step(f"after_{name}_retention", {"op": "retention", "from": source}, lambda e, q, rows2=rows2: retention(rows2(e, q), 7 * D, always, always, 0))

# ------------------------------------------------------------------------------------------------------------------ pivot
def pivot(rows, index, column, values, cell, prefix="", other=""):
    out = []
    for key, g in groups_of(rows, index).items():
        row = dict(zip(index, key))
        for v in values: row[prefix + v] = cell([r for r in g if r[column] is not None and text(r[column]) == v])
        if other: row[other] = cell([r for r in g if r[column] is None or text(r[column]) not in values])
        out.append(row)
    return out
def total(name): return lambda g: float(sum(v)) if (v := [r[name] for r in g if r[name] is not None]) else None
step("pivot", {"op": "pivot", "from": "events", "index": ["user"], "values": ["view", "buy", "分享", "never"], "other": "rest"}, lambda e, q: pivot(e, ["user"], "action", ["view", "buy", "分享", "never"], len, other="rest"), "grouped", ["user"])
step("pivot_sum", {"op": "pivot", "from": "events", "index": ["item", "flag"], "column": "small", "values": ["-1", "0", "3"], "aggregate": "sum(value)", "prefix": "s"},
     lambda e, q: pivot(e, ["item", "flag"], "small", ["-1", "0", "3"], total("value"), "s"), "grouped", ["item", "flag"])
step("pivot_flag", {"op": "pivot", "from": "events", "index": ["action"], "column": "flag", "values": ["true", "false"], "aggregate": "max(small)"},
     lambda e, q: pivot(e, ["action"], "flag", ["true", "false"], lambda g: max([r["small"] for r in g if r["small"] is not None], default=None)), "grouped", ["action"])

# ------------------------------------------------------------------------------------------------------------------ runs
def sources(empty):
    types = {"flag": "bool", "count": "int64", "small": "int32", "grade": "int32", "half": "float32", "t2": "timestamp", "tags": "list<string>", "price": "float64"}
    used = lambda names: {k: v for k, v in types.items() if k in names}
    out = {"events": {"op": "read_events", "path": "events.jsonl", "partitions": 7, "types": used(COLUMNS)}, "quotes": {"op": "read_events", "path": "quotes.jsonl", "partitions": 3, "types": used(RIGHT)},
           "zoned": {"op": "read_events", "path": "zoned.jsonl", "time_zone": "America/New_York"}}
    # The columns in the generator's order; the reader has one of its own.
    out = {(k if k == "zoned" else k + "_read"): v for k, v in out.items()}
    for k, names in (("events", COLUMNS), ("quotes", RIGHT)):
        out[k + "_all"] = {"op": "select", "from": k + "_read", "columns": names}
        out[k] = {"op": "filter", "from": k + "_all", "where": "false" if k in empty else "true"}
    return out
def run(name, job, ranks):
    with open(f"{name}{ranks}.yaml", "w") as f: json.dump({"job": name, "steps": job}, f)
    done = subprocess.run([THRONG, "run", f"{name}{ranks}.yaml", "-n", str(ranks), "--backend", "threads", "--no-estimate", "--out", f"{name}{ranks}", "--json"], capture_output=True, text=True)
    if done.returncode: sys.exit(f"{name} on {ranks} ranks: exit {done.returncode}: {done.stderr or done.stdout}")
    shown = subprocess.run([THRONG, "inspect", f"{name}{ranks}", "--json"], capture_output=True, text=True, check=True)
    return json.loads(shown.stdout)["steps"]
def load(path):
    out = []
    for line in open(path, newline="\n"):
        r = json.loads(line)
        out.append({k: micros(v) if k in TIMES else v for k, v in r.items()})
    return out

zoned = [{"ts": 1709900000 * S + rng.randrange(4 * D)} for _ in range(60)] + [{"ts": 1730500000 * S + rng.randrange(4 * D)} for _ in range(60)]
with open("zoned.jsonl", "w") as f:
    for r in zoned: f.write(json.dumps({"ts": r["ts"] / 1e6}) + "\n")

def compare(name, path, e, q, partitions):
    expected, kind, by = tests[name]
    if expected is None: return
    got = load(path)
    if kind == "sample":
        at = iter(frozen(r) for r in e)
        check(name, all(frozen(r) in at for r in got), "not some of the rows in their order")
        if isinstance(expected, int): check(name, len(got) == min(expected, len(e)), f"{len(got)} rows")
        else: check(name, abs(len(got) - expected * len(e)) <= 5 * math.sqrt(len(e) * expected * (1 - expected)), f"{len(got)} rows of {len(e)}")
        return
    if kind == "sample_users":
        kept = {r["user"] for r in got}
        check(name, [frozen(r) for r in got] == [frozen(r) for r in e if r["user"] in kept], "a user is kept in part")
        n = len({r["user"] for r in e})
        check(name, abs(len(kept) - expected * n) <= 5 * math.sqrt(n * expected * (1 - expected)), f"{len(kept)} of {n} users")
        return
    if kind == "split_user":
        held = {r["user"] for r in got if r["holdout"]}
        check(name, [frozen(r) for r in got] == [frozen(dict(r, holdout=r["user"] in held)) for r in e], "a user is held out in part")
        n = len({r["user"] for r in e})
        check(name, abs(len(held) - expected * n) <= 5 * math.sqrt(n * expected * (1 - expected)), f"{len(held)} of {n} users")
        return
    if expected == "zone": wanted = list(local_days(zoned)); got = [{k: r[k] for k in ("ts", "window_start", "window_end")} for r in got]
    else: wanted = expected(e, q)
    if kind == "funnel":
        check(name, [(r["step"], r["name"], r["users"]) for r in got] == [(i + 1, n, u) for i, (n, (u, s)) in enumerate(wanted)], f"{got} instead of {[(n, u) for n, (u, s) in wanted]}")
        for i, (r, (_, (u, s))) in enumerate(zip(got, wanted)):
            before = wanted[max(0, i - 1)][1][0]
            check(name, close(r["share"], u / wanted[0][1][0] if wanted[0][1][0] else None) and close(r["share_of_previous"], u / before if before else None), f"shares of {r}")
            check(name, close(r["median_seconds"], s[(len(s) - 1) // 2] if s else None, 0.01), f"median {r['median_seconds']} instead of {s[(len(s) - 1) // 2] if s else None}")
        return
    if kind == "aggregate":
        groups, keys = {key_of(r, by): r for r in wanted}, [key_of(r, by) for r in got]
        if not by and not wanted: check(name, got[0]["n"] == 0 and got[0]["total"] is None, got)
        check(name, len(got) == len(wanted) and set(keys) == set(groups), f"{len(got)} groups instead of {len(wanted)}")
        for r in got:
            for k, want in groups.get(key_of(r, by), {}).items():
                fine = r[k] == want
                if k in ("p90", "p0", "mid"): fine = (r[k] is None) == (want is None) and (want is None or abs(r[k] - want) <= 0.0101 * abs(want))
                elif k in ("users2", "stamps2"): fine = abs(r[k] - want) <= max(1, 0.06 * want)
                elif isinstance(want, float) and isinstance(r[k], (int, float)): fine = close(r[k], want)
                check(name, fine, f"{k} of {key_of(r, by)}: {r[k]} instead of {want}")
    elif kind == "grouped":  # groups in any order, rows of each as expected
        groups, found = groups_of(wanted, by), groups_of([{k: tuple(v) if isinstance(v, list) and k in by else v for k, v in r.items()} for r in got], by)
        check(name, len(got) == len(wanted) and set(groups) == set(found), f"{len(got)} rows, {len(found)} groups instead of {len(wanted)}, {len(groups)}")
        for k in groups:
            a, b = found.get(k, []), groups[k]
            bad = next((i for i in range(min(len(a), len(b))) if not same_row(dict(a[i], tags=0), dict(b[i], tags=0)) or list(a[i].get("tags") or []) != list(b[i].get("tags") or [])), None)
            check(name, bad is None and len(a) == len(b), bad is not None and f"group {k}, row {bad}: {a[bad]} instead of {b[bad]}")
    else:
        bad = next((i for i in range(min(len(got), len(wanted))) if not same_row(got[i], wanted[i])), None)
        check(name, bad is None, bad is not None and f"row {bad}: {got[bad]} instead of {wanted[bad]}")
        check(name, len(got) == len(wanted), f"{len(got)} rows instead of {len(wanted)}")
    if kind in ("aggregate", "grouped") and by:  # partitions in order, groups ascending in each
        keys = [tuple(rank_of(r[c]) for c in by) for r in got if "tags" not in by]
        check(name, sum(a > b for a, b in zip(keys, keys[1:])) < partitions, "groups do not ascend in their partitions")

pool = concurrent.futures.ThreadPoolExecutor(2)
everything = {**sources(set()), **steps}

# Inputs without rows: of both, the left, the right.
def without(label, empty):
    chosen = {n for n, p in steps.items() if label == "none" or p["op"] in ("join", "union")}
    for n in list(chosen): chosen |= {s for s in (steps[n]["from"] if isinstance(steps[n]["from"], list) else [steps[n]["from"]]) if s in steps}
    job = {**sources(empty), **{n: steps[n] for n in steps if n in chosen}}
    for n in chosen: job[n + "__file"] = {"op": "write", "from": n, "path": n + ".jsonl"}
    return label, chosen, empty, pool.submit(run, label, job, 3)
empties = [without("none", {"events", "quotes"}), without("noleft", {"events"}), without("noright", {"quotes"})]
empties[0][3].result()

# All rows; beside each step, one of its columns, for a reader that wants no other.
selects, job = {}, dict(everything)
for i, name in enumerate(steps):
    names = [c["name"] for c in json.load(open(f"none3/steps/{name}/data/manifest.json"))["schema"]]
    selects[name] = names[-1] if i % 2 else rng.choice(names)
    job[name + "__file"] = {"op": "write", "from": name, "path": name + ".jsonl"}
    job[name + "__one"] = {"op": "select", "from": name, "columns": [selects[name]]}
first = pool.submit(run, "main", job, 1)

# The same on more ranks; steps that others read are read whole.
job = dict(everything)
for name in {p["from"] for p in steps.values() if isinstance(p["from"], str)}: job[name + "__all"] = {"op": "write", "from": name, "path": name + ".jsonl"}
others = {ranks: pool.submit(run, "main", job, ranks) for ranks in (2, 5)}

# Steps of which one column is read, and no more made.
job = sources(set())
def clone(n, name):
    if n not in steps: return n
    p, new = dict(steps[n]), n if n == name else f"{name}_of_{n}"  # a step's seed goes by its name
    p["from"] = [clone(s, name) for s in p["from"]] if isinstance(p["from"], list) else clone(p["from"], name)
    job[new] = p
    return new
for name in steps: job[name + "__one"] = {"op": "select", "from": clone(name, name), "columns": [selects[name]]}
pruned = pool.submit(run, "pruned", job, 2)

for label, chosen, empty, done in empties:
    done.result()
    for n in chosen: compare(n, f"{label}3/{n}.jsonl", [] if "events" in empty else events, [] if "quotes" in empty else quotes, 7)
first = first.result()
for name in steps: compare(name, f"main1/{name}.jsonl", events, quotes, 7)
counts, rows = collections.Counter(r["user"] for r in events), load("main1/join_counts.jsonl")
check("join_counts", len(rows) == len(events) and all(r["n"] == (counts[r["user"]] if r["user"] is not None else None) for r in rows), "counts differ")
for ranks, done in others.items():
    for name, s in done.result().items():
        if name in steps: check(name, s["content_hash"] == first[name]["content_hash"], f"another result on {ranks} ranks")
pruned = pruned.result()
for name in steps: check(name, pruned[name + "__one"]["content_hash"] == first[name + "__one"]["content_hash"], f"other values of {selects[name]} where nothing else is read")

# ------------------------------------------------------------------------------------------------------------------ write, export
paths = ["out.csv", "out.csv.gz", "out.jsonl", "out.jsonl.gz", "sub/out.h5", "folder"] + (["out.jsonl.zst"] if shutil.which("zstd") else [])
job = {**sources(set()), "sorted": {"op": "sort", "from": "events", "by": ["user", "-ts"]}, "one": {"op": "select", "from": "sorted", "columns": ["text"]},
       "one_file": {"op": "write", "from": "one", "path": "one.csv"}}
# An output beside a step's main one, too, can be sorted, cut and joined.
job |= {"tokens": {"op": "tokenize", "from": "events"}, "vocabulary": {"op": "vocabulary", "from": "tokens", "min_count": 1}, "words": {"op": "sort", "from": "vocabulary.words", "by": ["-count", "word"]},
        "few": {"op": "limit", "from": "vocabulary.words", "rows": 2}, "with_counts": {"op": "join", "from": ["few", "vocabulary.words"], "on": ["word"], "how": "right"}}
for name in ("words", "with_counts"): job[name + "_file"] = {"op": "write", "from": name, "path": name + ".jsonl"}
for i, p in enumerate(paths): job[f"w{i}"] = {"op": "write", "from": "sorted", "path": p}
wanted = sorted(events, key=order_of(["user", "-ts"]))
run("files", job, 3)
words = load("files3/words.jsonl")
check("words", len(words) > 5 and words == sorted(words, key=order_of(["-count", "word"])), words)
check("words", sorted((r["word"], r["count_right"]) for r in load("files3/with_counts.jsonl")) == sorted((r["word"], r["count"]) for r in words), "joined")
def same_rows(name, got, want): check(name, len(got) == len(want) and all(same_row(a, b) for a, b in zip(got, want)), f"{len(got)} rows differ from {len(want)}")
for i, p in enumerate(paths):
    to = "files3/" + p
    row = json.loads(subprocess.run([THRONG, "export", f"files3/steps/w{i}/data", "--to", f"w{i}.jsonl"], capture_output=True, check=True) and open(f"w{i}.jsonl").read())
    check("write " + p, row["rows"] == len(events) and os.path.realpath(row["path"]) == os.path.realpath(to) and (os.path.isdir(to) or row["bytes"] == os.path.getsize(to)), row)
    if p == "folder":
        subprocess.run([THRONG, "export", to, "--to", "folder.jsonl"], capture_output=True, check=True)
        to = "folder.jsonl"
    if p.endswith(".gz"): open(p[:-3], "wb").write(gzip.open(to).read()); to = p[:-3]
    if p.endswith(".zst"): subprocess.run(["zstd", "-dqf", to, "-o", "zst.jsonl"], check=True); to = "zst.jsonl"
    if to.endswith(".jsonl"): same_rows("write " + p, load(to), wanted)
    elif to.endswith(".csv"):
        table = pd.read_csv(to, dtype=str, keep_default_na=False)
        check("write " + p, list(table) == COLUMNS and len(table) == len(wanted), "shape")
        def cell(c, v): return "" if v is None else json.dumps(v, ensure_ascii=False, separators=(",", ":")) if c == "tags" else text(v)
        for c in COLUMNS:
            for got, r in zip(table[c], wanted):
                fine = (None if got == "" else micros(got)) == r[c] if c in TIMES else close(float(got), r[c]) if c in ("value", "half") and got else got == cell(c, r[c])
                check("write " + p, fine, f"{c}: {got!r} instead of {r[c]!r}")
                if not fine: break
    elif to.endswith(".h5"):
        f = h5py.File(to)
        for c in ("ts", "value", "half", "count", "small", "flag"):
            valid = f[c + ".valid"][:] if c + ".valid" in f else [True] * len(wanted)
            check("write " + p, [v.item() if ok else None for v, ok in zip(f[c][:], valid)] == [r[c] for r in wanted], c)
        lengths, data, at, users = f["user/lengths"][:], bytes(f["user/bytes"][:]), 0, []
        for n in lengths: users.append(data[at:at + n].decode()); at += n
        check("write " + p, users == [r["user"] or "" for r in wanted], "user")
with open("files3/one.csv", newline="") as f: lone = list(csv.reader(f))[1:]
check("write one.csv", [r[0] if r else "" for r in lone] == [r["text"] or "" for r in wanted], "rows of one column")
check("write one.csv", len(pd.read_csv("files3/one.csv")) == len(wanted), "pandas skips rows of one empty field")
for name in ("sort_fvalue_user", "sort_ft2_small"):
    subprocess.run([THRONG, "export", f"main5/steps/{name}/data", "--to", name + ".jsonl"], capture_output=True, check=True)
    same_rows(name, load(name + ".jsonl"), load(f"main1/{name}.jsonl"))

if failures: sys.exit(f"{len(failures)} failures: " + ", ".join(f"{n} ({c})" for n, c in collections.Counter(failures).items()))
print(f"pandas and Python agree with {len(steps)} steps on {len(events)} events, on 1, 2 and 5 ranks")
PY
$python check.py
