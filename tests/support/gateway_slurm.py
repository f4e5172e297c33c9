# Drives a gateway whose runs go to Slurm. Called by slurm_gateway.sh: program.
import atexit
import http.client
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time

program = sys.argv[1]
gateway = port = None


def start(at=0):
    global gateway, port
    gateway = subprocess.Popen([program, "serve", "runs", "--port", str(at), "--data-root", "data", "--launcher", "slurm"], stdout=subprocess.PIPE, text=True)
    port = int(re.search(r":(\d+)/$", gateway.stdout.readline().strip()).group(1))


@atexit.register
def end():
    gateway.kill()


def ask(method, path, body=None, headers={}):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request(method, "/api/v1" + path, json.dumps(body) if body is not None else None, {"Authorization": "Bearer " + token, "Content-Type": "application/json", **headers})
    answer = connection.getresponse()
    content = answer.read().decode()
    connection.close()
    return answer.status, json.loads(content) if answer.headers.get("Content-Type", "").startswith("application/json") else content


def submit(job, headers={}, **fields):
    status, answer = ask("POST", "/runs", {"job": open(job).read(), "partition": "long", **fields}, headers)
    assert status == 202, (status, answer)
    return answer["id"]


def until(run, *states, seconds=300):
    for _ in range(seconds * 5):
        status, now = ask("GET", f"/runs/{run}")
        if now["state"] in states:
            return now
        time.sleep(0.2)
    raise AssertionError(f"{run} is {now['state']} ({now['detail']}, {now['reason']}), not {states}")


def hashes(run):
    steps = json.loads(subprocess.run([program, "inspect", run, "--json"], check=True, capture_output=True, text=True).stdout)["steps"]
    return {name: (step["rows"], step["content_hash"]) for name, step in steps.items() if name != "top"}  # which names its file


def text(command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def jobs_of_slurm():
    return set(re.findall(r"^JobId=(\d+)", text(["scontrol", "-o", "show", "jobs"]), re.M))


start()
token = open("runs/.gateway/admin.token").read().strip()
assert ask("GET", "/me")[1]["launchers"] == ["slurm"]
status, told = ask("POST", "/runs", {"job": open("short.yaml").read(), "launcher": "local"})
assert status == 400, told

assert ask("GET", "/runs")[1]["total"] == 0

# To its end, watched; the same results as without Slurm.
run = submit("short.yaml", ranks_per_node=2)
status, events = ask("GET", f"/runs/{run}/events")
assert re.findall("^event: (.*)$", events, re.M)[-1] == "end" and '"state":"done"' in events, events[-500:]
one = ask("GET", f"/runs/{run}")[1]
assert one["ranks"] == 2 and len(one["allocations"]) == 1 and one["rank_reports"], one
assert hashes("runs/" + run) == hashes("whole")

# Refused by sbatch, in its words.
refused = until(submit("short.yaml", partition="nowhere"), "failed", "refused")
assert "invalid partition" in refused["reason"], refused

# A chain; cancelled at a checkpoint, which the one behind is told; resumed in another allocation; cancelled before it began.
long = submit("long.yaml", ranks_per_node=2)
behind = submit("short.yaml", after=long)
until(long, "running")
while not os.path.exists(f"runs/{long}/steps/next/state/checkpoint.h5"):
    time.sleep(0.1)
assert ask("GET", f"/runs/{behind}")[1]["state"] == "queued"
assert f'run="{long}",rank="1"' in ask("GET", "/metrics")[1]
assert ask("POST", f"/runs/{long}/cancel")[0] == 200
until(long, "cancelled")
assert "stopped at a checkpoint" in ask("GET", f"/runs/{long}/log")[1]["text"]
first = ask("GET", f"/runs/{long}")[1]["allocations"][0]["id"]
told = until(behind, "failed")
assert "the run that it was to follow is cancelled" in told["reason"], told
assert ask("POST", f"/runs/{long}/resume")[0] == 200
until(long, "running")
while not (again := ask("GET", f"/runs/{long}")[1]["allocations"]) or again[0]["id"] == first:
    time.sleep(0.2)
waits = submit("short.yaml", nodes=2, ranks_per_node=2)
for _ in range(100):
    one = until(waits, "queued")
    if "Slurm" in one["detail"]:
        break
    time.sleep(0.2)
assert "Slurm" in one["detail"], one
assert ask("POST", f"/runs/{waits}/cancel")[0] == 200
until(waits, "cancelled")
assert ask("DELETE", f"/runs/{long}")[0] == 409
assert ask("POST", f"/runs/{long}/cancel")[0] == 200
until(long, "cancelled")
assert ask("DELETE", f"/runs/{long}")[0] == 204 and not os.path.exists("runs/" + long)
for _ in range(100):
    if not (left := text(["squeue", "-h"])):
        break
    time.sleep(0.2)
assert left == ""

# Killed at any moment while runs come in: each is one job of Slurm.
open("quick.yaml", "w").write("job: quick\nsteps:\n  events: { op: read_events, path: events.jsonl }\n  few: { op: limit, from: events, rows: 10 }\n")
before = jobs_of_slurm()
ids, wrong, over = {}, [], threading.Event()


def keep_submitting():
    while not over.is_set():
        try:
            ids[len(ids)] = submit("quick.yaml", {"Idempotency-Key": f"k{len(ids)}"}, time="20m")
        except (OSError, http.client.HTTPException):
            time.sleep(0.02)
        except AssertionError as e:
            wrong.append(e)
            return


thread = threading.Thread(target=keep_submitting)
thread.start()
for k in range(5):
    time.sleep(random.Random(k).uniform(0.5, 3))
    gateway.kill()
    gateway.wait()
    start(at=port)
over.set()
thread.join()
assert not wrong and len(set(ids.values())) == len(ids) > 0
jobs = {}
for id in ids.values():
    one = until(id, "done")
    assert len(one["allocations"]) == 1 and open(f"runs/{id}/run.log").read().count("run of job") == 1, one
    jobs[one["allocations"][0]["id"]] = id
assert len(jobs) == len(ids) and jobs_of_slurm() - before <= set(jobs), (jobs, before, jobs_of_slurm())
gateway.send_signal(signal.SIGTERM)
assert gateway.wait(120) == 0
print(f"{len(ids)} runs over 5 kills")
