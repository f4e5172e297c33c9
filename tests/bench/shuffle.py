"""Bandwidth between two ranks: the exchange by both paths, beside bare MPI moving the same bytes. usage: shuffle.py PROGRAM WORK SMALL OUT CASE"""
import json
import subprocess

from harness import case, entry, small, throng, write_results

figures = json.loads(subprocess.check_output(["mpirun", "-n", "2", "--allow-run-as-root", "--bind-to", "none", throng, "3" if small else "7", "8" if small else "1"]))
what = {"large": "blocks of 1 MiB, kept where they arrive", "blocks": "4 MiB a round in blocks of 256 KiB, sent on in the next round",
        "made": "blocks of 1 MiB copied together from rows of 20 bytes, and added up where they arrive"}
base = {f["case"]: f["seconds"] for f in figures if f["system"] == "stream"}
for f in figures:
    if case in ("all", f["case"]):
        entry(f["case"], "throng" if f["system"] == "stream" else f["system"], f["seconds"], f["seconds"] / base[f["case"]], None,
              f"{f['bytes'] / f['seconds'] / 1e9:.2f} GB/s off-rank, both ranks together; 2 ranks; {what[f['case']]}")
write_results()
