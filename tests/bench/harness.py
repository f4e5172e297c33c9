"""What the benchmark families share: running a job, reading its rows, recording a figure. Arguments: THRONG WORK SMALL OUT CASE."""
import json
import os
import subprocess
import sys

throng, work, small, out, case = sys.argv[1], sys.argv[2], sys.argv[3] == "1", sys.argv[4], sys.argv[5]
os.environ["OPENBLAS_NUM_THREADS"] = "1"
results = []


def entry(case, system, seconds, ratio, equal, conditions):
    """One line of the result; without seconds: what could not be measured."""
    results.append({"case": case, "system": system, "seconds": seconds and round(seconds, 6), "ratio": ratio and round(ratio, 3), "equal": equal if equal is None else bool(equal), "conditions": conditions})
    figures = f"{seconds:8.3f} s   ratio {ratio:6.2f}   equal {'-' if equal is None else bool(equal)}" if seconds else "       - s"
    print(f"{case:12s} {system:10s} {figures}   {conditions}", flush=True)


def record(case, peer, ours, theirs, equal, conditions):
    entry(case, "throng", ours, 1, equal, conditions)
    entry(case, peer, theirs, theirs / ours, equal, conditions)


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
    write_results()


def write_results():
    with open(out, "w") as f:
        json.dump(results, f, indent=1)
