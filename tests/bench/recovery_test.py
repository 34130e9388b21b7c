"""Goal: the recovery benchmark kills every stage, sees each of the four times, and loses nothing.
Method: its quick run through bench/run; no figure is judged but their order. usage: RUN BUILD_DIR"""
import json
import os
import subprocess
import sys
import tempfile

STAGES = ["engine", "broker", "journal", "ingress", "replica", "sqlite"]
TIMES = ["detected", "attached", "first message", "backlog drained"]
KILLS = 30


def check(ok, what):
    if not ok:
        sys.exit(f"recovery_test: {what}")


def main():
    run, build = sys.argv[1:]
    with tempfile.TemporaryDirectory() as out:
        done = subprocess.run([sys.executable, run, "--quick", "--only", "recovery", "--no-build",
                               "--build-dir", build, "--out", out], capture_output=True, text=True)
        check(done.returncode == 0, done.stdout + done.stderr)
        with open(os.path.join(out, "bench.json")) as f:
            result = json.load(f)
    check("lost, doubled or not stored: none" in done.stdout, done.stdout)
    for group, kills in [(s, KILLS // len(STAGES)) for s in STAGES] + [("every stage", KILLS)]:
        series = {s["name"]: s for s in result["series"] if s["group"] == f"recovery of {group}"}
        check(set(TIMES) < set(series), f"{group}: has {list(series)}")
        limit = [s for s in series.values() if s["part"] == "limit"]
        check(len(limit) == 1 and min(limit[0]["rounds"]) > 0, f"{group}: no limit beside it")
        for s in series.values():
            check(len(s["rounds"]) == kills == s["histogram_ns"]["count"], f"{group}: {s['name']}")
        for detected, attached, drained in zip(*(series[t]["rounds"] for t in
                                                 ("detected", "attached", "backlog drained"))):
            check(0 < detected <= attached <= drained, f"{group}: {detected} {attached} {drained}")
        check(min(series["first message"]["rounds"]) > 0, f"{group}: first message")
    check(any(f["group"] == "recovery of engine" for f in result["figures"]), "no figures")


main()
