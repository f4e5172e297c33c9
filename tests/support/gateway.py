# Drives a gateway over HTTP and checks each answer against its description. Called by fast_gateway.sh: program, openapi.json.
import atexit
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.parse

import jsonschema

program, description = sys.argv[1], json.load(open(sys.argv[2]))


running = []


@atexit.register
def end_all():
    for process in running:
        process.kill()
    for run in os.listdir("runs") if os.path.isdir("runs") else []:
        if os.path.exists(f"runs/{run}/submission.json"):
            subprocess.run([program, "cancel", f"runs/{run}"], capture_output=True)


def start(*flags, at=0):
    process = subprocess.Popen([program, "serve", "runs", "--port", str(at), "--data-root", "data", "--most-workers", "4", *flags], stdout=subprocess.PIPE, text=True)
    line = process.stdout.readline()
    port = int(re.search(r":(\d+)/$", line.strip()).group(1))
    running.append(process)
    return process, port


def described(method, path, status, kind, body):
    """Whether the answer is one that the description knows."""
    for pattern, item in description["paths"].items():
        if not re.fullmatch(re.sub(r"\\{path\\}", ".+", re.sub(r"\\{(?!path)\w+\\}", "[^/]+", re.escape(pattern))), path.split("?")[0]) or method.lower() not in item:
            continue
        if pattern.endswith("/files/{path}") is not bool(re.search(r"/files/.", path)):
            continue
        answer = item[method.lower()]["responses"].get(str(status))
        assert answer, f"{method} {path} answered {status}, which is not described"
        for mime, content in answer.get("content", {}).items():
            assert mime == "*/*" or kind.startswith(mime), (method, path, kind, mime)
            if mime == "application/json":
                jsonschema.Draft202012Validator({**content["schema"], "components": description["components"]}).validate(json.loads(body))
        return
    raise AssertionError(f"{method} {path} is not described")


class User:
    def __init__(self, port, token):
        self.port, self.token = port, token

    def ask(self, method, path, body=None, headers={}, expect=None, raw=False):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        text = json.dumps(body) if body is not None else None
        connection.request(method, path, text, {**({"Authorization": "Bearer " + self.token} if self.token else {}), **({"Content-Type": "application/json"} if text else {}), **headers})
        answer = connection.getresponse()
        content = answer.read().decode()
        kind = answer.headers.get("Content-Type", "")
        connection.close()
        described(method, path, answer.status, kind, content)
        if expect is not None:
            assert answer.status == expect, (method, path, answer.status, content)
        self.headers = answer.headers
        return content if raw or not kind.startswith("application/json") else json.loads(content)

    def submit(self, job, expect=202, headers={}, **fields):
        return self.ask("POST", "/api/v1/runs", {"job": open(job).read(), **fields}, headers, expect)

    def state(self, run):
        return self.ask("GET", f"/api/v1/runs/{run}", expect=200)["state"]

    def until(self, run, *states):
        for _ in range(1200):
            now = self.state(run)
            if now in states:
                return now
            time.sleep(0.1)
        raise AssertionError((f"{run} is {now}, not {states}: {self.ask('GET', f'/api/v1/runs/{run}')}")[:2000])


def hashes(run):
    steps = json.loads(subprocess.run([program, "inspect", run, "--json"], check=True, capture_output=True, text=True).stdout)["steps"]
    return {name: (step["rows"], step["content_hash"]) for name, step in steps.items() if name != "top"}  # which names its file


gateway, port = start()
token = open("runs/.gateway/admin.token").read().strip()
assert os.stat("runs/.gateway/admin.token").st_mode & 0o777 == 0o600
admin = User(port, token)
submitter = User(port, admin.ask("PUT", "/api/v1/users/sub", {"role": "submitter"}, expect=200)["token"])
viewer = User(port, subprocess.run([program, "serve", "user", "vi", "--role", "viewer"], check=True, capture_output=True, text=True).stdout.strip())
nobody = User(port, "")
assert "sub" in subprocess.run([program, "serve", "users"], check=True, capture_output=True, text=True).stdout
again = subprocess.run([program, "serve", "runs", "--port", "0"], capture_output=True, text=True)
assert again.returncode == 4 and "another gateway serves these runs" in again.stderr, again
refused = subprocess.run([program, "serve", "other", "--address", "0.0.0.0"], capture_output=True, text=True)
assert refused.returncode == 2 and "tokens would be sent in the open" in refused.stderr, refused

# Open, and not.
for path in ["/", "/page.css", "/page.js", "/api/v1/health"]:
    nobody.ask("GET", path, expect=200)
assert nobody.headers["Content-Security-Policy"].startswith("default-src 'none'")
nobody.ask("GET", "/api/v1/runs", expect=401)
viewer.submit("short.yaml", expect=403)
assert viewer.ask("GET", "/api/v1/me") == {"name": "vi", "role": "viewer", "launchers": ["local"]}
assert json.loads(json.dumps(description)) == nobody.ask("GET", "/api/v1/openapi.json", expect=200)

# Faults, each with its place; nothing outside the data roots.
faulty = open("short.yaml").read().replace("op: split", "op: splitt").replace("path: events.jsonl", "path: /etc/passwd").replace("results/", "../")
told = submitter.ask("POST", "/api/v1/runs", {"job": faulty}, expect=422)["faults"]
assert [(f["line"], f["message"].split(":")[0]) for f in told] == [(3, "step 'events'"), (4, "unknown op 'splitt' of step 'parts'"), (6, "step 'top'")], told
submitter.ask("POST", "/api/v1/plan", {"job": "job: [", }, expect=422)
aliases = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(f"a{k}: &a{k} [{','.join(['*a%d' % (k - 1)] * 10)}]\n" for k in range(1, 9))
told = submitter.ask("POST", "/api/v1/plan", {"job": aliases + open("short.yaml").read()}, expect=422)["faults"]
assert "counting what its aliases repeat" in told[0]["message"], told
for more, why in [({"threads": 0}, 422), ({"time": "abc"}, 422), ({"time": ""}, 400), ({"set": [""]}, 400), ({"ranks_per_node": 3, "threads": 2}, 400), ({"ranks_per_node": -3}, 422)]:
    submitter.submit("short.yaml", expect=why, **more)
for path in [os.path.abspath("runs/.gateway/admin.token"), os.path.abspath("runs") + "/.g*/admin.token"]:
    told = submitter.ask("POST", "/api/v1/plan", {"job": "job: j\nsteps:\n  e: { op: read_events, path: '%s', format: csv, columns: [t], timeless: true }\n" % path}, expect=422)
    assert "outside the folders" in told["faults"][0]["message"] and token not in json.dumps(told), told
told = submitter.ask("POST", "/api/v1/runs", {"job": open("short.yaml").read(), "set": ["events.path=../short.yaml"]}, expect=422)["faults"]
assert "outside the folders" in told[0]["message"], told
plan = submitter.ask("POST", "/api/v1/plan", {"job": open("short.yaml").read()}, expect=200)
assert [s["id"] for s in plan["steps"]][0] == "events" and plan["estimates"]["steps"]["events"]["rows"] > 0
assert admin.ask("GET", "/api/v1/runs", expect=200)["total"] == 0

# A run to its end, watched: the same results as without a gateway.
run = submitter.submit("short.yaml", ranks_per_node=2, headers={"Idempotency-Key": "once"})["id"]
assert submitter.submit("short.yaml", ranks_per_node=2, headers={"Idempotency-Key": "once"})["id"] == run
assert submitter.headers["Location"] == "/api/v1/runs/" + run
events = viewer.ask("GET", f"/api/v1/runs/{run}/events", expect=200, raw=True)
names = re.findall("^event: (.*)$", events, re.M)
assert names[-1] == "end" and '"state":"done"' in events.split("\n")[-3], events[-500:]
assert "run" in names and "log" in names
assert "done in" in "".join(json.loads(d)["text"] for n, d in re.findall("^event: (.*)\ndata: (.*)$", events, re.M) if n == "log")
one = viewer.ask("GET", f"/api/v1/runs/{run}", expect=200)
assert one["state"] == "done" and one["ranks"] == 2 and one["user"] == "sub" and one["has_report"] and one["rank_reports"] and one["curves"]["next"], one
assert hashes("runs/" + run) == hashes("whole")
files = {f["path"]: f["bytes"] for f in viewer.ask("GET", f"/api/v1/runs/{run}/files", expect=200)["files"]}
assert viewer.ask("GET", f"/api/v1/runs/{run}/files/results/events.csv", expect=200) == open("whole/results/events.csv").read()
assert files["results/events.csv"] == os.path.getsize("whole/results/events.csv")
for path in ["../../short.yaml", "..%2f..%2fshort.yaml", "%2e%2e/%2e%2e/short.yaml", "/etc/passwd", "missing"]:
    viewer.ask("GET", f"/api/v1/runs/{run}/files/{path}", expect=404)
address = viewer.ask("POST", f"/api/v1/runs/{run}/tickets", {"path": "report.html"}, expect=201)["address"]
report = nobody.ask("GET", address, expect=200)
assert "<html" in report and nobody.headers["Content-Security-Policy"].startswith("sandbox")
nobody.ask("GET", address, expect=404)
assert viewer.ask("GET", f"/api/v1/runs/{run}/files/results/events.csv", raw=True) and viewer.headers["Content-Disposition"] == 'attachment; filename="events.csv"'
viewer.ask("GET", f"/api/v1/runs/{run}/files/report.html", expect=200)
assert viewer.headers["Content-Disposition"] is None
piece = viewer.ask("GET", f"/api/v1/runs/{run}/log?from=3", expect=200)
assert piece["next"] == piece["bytes"] > 3
viewer.ask("GET", f"/api/v1/runs/{run}/log?from=x", expect=400)
drawing = viewer.ask("GET", f"/api/v1/runs/{run}/drawing", expect=200)
assert shutil.which("dot") is None or 'id="step-next"' in drawing.replace("&#45;", "-"), drawing[:500]
submitter.ask("POST", f"/api/v1/runs/{run}/cancel", expect=409)
submitter.ask("POST", f"/api/v1/runs/{run}/resume", expect=409)

# One at a time: the second waits; a chain; cancelled at a checkpoint, and resumed; cancelled while it waits.
long = submitter.submit("long.yaml")["id"]
submitter.until(long, "running")
behind = submitter.submit("short.yaml")["id"]
never = submitter.submit("short.yaml")["id"]
time.sleep(2)
assert viewer.state(behind) == "queued"
assert submitter.ask("POST", f"/api/v1/runs/{never}/cancel", expect=200)["state"] == "cancelled"
listed = viewer.ask("GET", "/api/v1/runs?limit=2", expect=200)
assert [r["id"] for r in listed["runs"]] == [never, behind] and listed["total"] == 4
assert [r["id"] for r in viewer.ask("GET", f"/api/v1/runs?before={listed['runs'][-1]['number']}")["runs"]] == [long, run]
while not os.path.exists(f"runs/{long}/steps/next/state/checkpoint.h5"):
    time.sleep(0.1)
while f'throng_rank_resident_bytes{{run="{long}",rank="0"' not in (metrics := viewer.ask("GET", "/api/v1/metrics", expect=200)):
    time.sleep(0.1)
assert run not in metrics
viewer.ask("POST", f"/api/v1/runs/{long}/cancel", expect=403)
submitter.ask("POST", f"/api/v1/runs/{long}/cancel", expect=200)
submitter.until(long, "cancelled")
submitter.until(behind, "done")
assert not os.path.exists("runs/" + never)
submitter.ask("POST", f"/api/v1/runs/{long}/resume", expect=200)
submitter.until(long, "running")
submitter.ask("POST", f"/api/v1/runs/{long}/cancel", expect=200)
submitter.until(long, "cancelled")
other = User(port, admin.ask("PUT", "/api/v1/users/other", {"role": "submitter"}, expect=200)["token"])
for method, path in [("POST", "/cancel"), ("POST", "/resume"), ("DELETE", "")]:
    other.ask(method, f"/api/v1/runs/{long}{path}", expect=403)
    viewer.ask(method, f"/api/v1/runs/{long}{path}", expect=403)
kept = other.submit("long.yaml")["id"]
submitter.until(kept, "running")
other.ask("DELETE", f"/api/v1/runs/{kept}", expect=409)
admin.ask("POST", f"/api/v1/runs/{kept}/cancel", expect=200)
other.until(kept, "cancelled")
submitter.ask("DELETE", f"/api/v1/runs/{long}", expect=204)
viewer.ask("GET", f"/api/v1/runs/{long}", expect=404)
assert not os.path.exists("runs/" + long) and os.path.exists("runs/" + kept)
assert long not in [r["id"] for r in viewer.ask("GET", "/api/v1/runs", expect=200)["runs"]]
refused = submitter.submit("short.yaml", after=never)["id"]
assert submitter.until(refused, "refused") == "refused"

# Who did what.
lines = [(l["user"], l["action"], l["status"]) for l in admin.ask("GET", "/api/v1/audit?limit=1000", expect=200)["audit"]]
for line in [("sub", "POST", 202), ("sub", "POST", 422), ("vi", "POST", 403), ("", "GET", 401), ("admin", "PUT", 200)]:
    assert line in lines, (line, lines)
admin.ask("DELETE", "/api/v1/users/vi", expect=204)
viewer.ask("GET", "/api/v1/me", expect=401)

# Killed at any moment while jobs come in: none is lost, none runs twice.
rounds = int(os.environ.get("ROUNDS", "4"))
ids, wrong, over = {}, [], threading.Event()


def keep_submitting():
    k, asked, late = 0, False, 0
    while asked or not over.is_set():  # one whose answer was lost may have been taken, and is asked for again
        asked = True
        try:
            user = User(port, submitter.token)
            ids[k] = user.ask("POST", "/api/v1/runs", {"job": open("quick.yaml").read()}, {"Idempotency-Key": f"k{k}"})["id"]
            k, asked = k + 1, False
        except (OSError, http.client.HTTPException) as e:
            late += over.is_set()
            if late > 500:
                wrong.append(e)
                return
            time.sleep(0.02)
        except AssertionError as e:
            wrong.append(e)
            return


open("quick.yaml", "w").write("job: quick\nsteps:\n  events: { op: read_events, path: events.jsonl }\n  few: { op: limit, from: events, rows: 10 }\n")
long = admin.submit("long.yaml")["id"]
admin.until(long, "running")
waits = admin.submit("quick.yaml")["id"]
gateway.send_signal(signal.SIGTERM)
assert gateway.wait(120) == 0
gateway, port = start("--launcher", "slurm", "--launcher", "local")  # what waits is for this machine all the same
admin.port = port
admin.ask("POST", f"/api/v1/runs/{long}/cancel", expect=200)
admin.until(waits, "done")
before = admin.ask("GET", "/api/v1/runs")["total"]
gateway.send_signal(signal.SIGTERM)
assert gateway.wait(120) == 0
gateway, port = start("--at-once", "2")
thread = threading.Thread(target=keep_submitting)
thread.start()
import random
for k in range(rounds):
    time.sleep(random.Random(k).uniform(0.3, 2))
    gateway.kill()
    gateway.wait()
    gateway, port = start("--at-once", "2", at=port)  # which no run that goes on holds
over.set()
thread.join()
admin.port = port
assert not wrong and len(set(ids.values())) == len(ids) > 0
assert admin.ask("GET", "/api/v1/runs")["total"] - before == len(ids)
for id in ids.values():
    admin.until(id, "done")
    run = admin.ask("GET", f"/api/v1/runs/{id}")
    log = open(f"runs/{id}/run.log").read()
    assert len(run["allocations"]) == 1 and log.count("run of job") == 1, (run, log)
gateway.send_signal(signal.SIGINT)
assert gateway.wait(120) == 0
print(f"{len(ids)} runs over {rounds} kills")
