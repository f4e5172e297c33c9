"""What the benchmark families share: running a job, reading its rows, recording a figure. Arguments: THRONG WORK SMALL OUT CASE."""
import json
import os
import subprocess
import sys

throng, work, small, out, case = sys.argv[1], sys.argv[2], sys.argv[3] == "1", sys.argv[4], sys.argv[5]
os.environ["OPENBLAS_NUM_THREADS"] = "1"
results = []


def record(case, peer, ours, theirs, equal, conditions):
    results.append({"case": case, "system": "throng", "seconds": round(ours, 3), "ratio": 1, "equal": bool(equal), "conditions": conditions})
    results.append({"case": case, "system": peer, "seconds": round(theirs, 3), "ratio": round(theirs / ours, 3), "equal": bool(equal), "conditions": conditions})
    print(f"{case:12s} throng {ours:8.3f} s   {peer} {theirs:8.3f} s   ratio {theirs / ours:5.2f}   equal {equal}   {conditions}", flush=True)


def run(name, steps, flags=("-t", "2")):
    """Runs a job anew; returns seconds by step, and the steps as `inspect` shows them."""
    job = f"{work}/{name}.yaml"
    with open(job, "w") as f:
        f.write(f"job: {name}\nsteps:\n" + "".join(f"  {s}\n" for s in steps))
    subprocess.run(["rm", "-rf", f"{work}/{name}"], check=True)
    subprocess.run([throng, "run", job, *flags, "--out", f"{work}/{name}", "--no-estimate", "--json"], check=True, stdout=subprocess.DEVNULL)
    steps = json.loads(subprocess.check_output([throng, "inspect", f"{work}/{name}", "--json"]))["steps"]
    return {k: v["seconds"] for k, v in steps.items()}, steps


def export(name, step):
    """The rows of a step, and the file they are in."""
    path = f"{work}/{name}.{step.replace('/', '.')}.jsonl"
    subprocess.run([throng, "export", f"{work}/{name}/steps/{step}", "--to", path], check=True, stdout=subprocess.DEVNULL)
    with open(path) as f:
        return [json.loads(line) for line in f], path


def run_cases(cases):
    for name, measure in cases.items():
        if case in ("all", name):
            measure()
    with open(out, "w") as f:
        json.dump(results, f, indent=1)
