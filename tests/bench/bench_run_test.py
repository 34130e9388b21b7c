"""Goal: bench/run works from end to end and its JSON says what bench/README.md promises.
Method: the ring's part, the variants of the ring and the single operations with tiny counts; no
figure is judged. usage: RUN BUILD_DIR"""
import json
import os
import subprocess
import sys
import tempfile
from html.parser import HTMLParser

QUANTILES = ["p50", "p90", "p99", "p99.9", "p99.99", "max"]


def check(ok, what):
    if not ok:
        sys.exit(f"bench_run_test: {what}")


def check_series(series, rounds):
    name = f"{series['group']} / {series['name']}"
    check(series["part"] in ("limit", "rival", "ours", "variant"), f"{name}: part")
    check(series["better"] in ("higher", "lower"), f"{name}: better")
    check(len(series["rounds"]) == rounds, f"{name}: rounds")
    check(len(series["undisturbed"]) == rounds, f"{name}: undisturbed")
    check(all(v > 0 for v in series["rounds"]), f"{name}: a round of nothing")
    if series["bench"] == "ring":
        check(len(series["hand_off_ns"]) == rounds and min(series["hand_off_ns"]) > 0,
              f"{name}: hand-off")
        check(len(series["hand_off_after_ns"]) == rounds, f"{name}: hand-off after")
    h = series.get("histogram_ns")
    if h:
        check(sum(n for _, n in h["buckets"]) == h["count"], f"{name}: buckets and count")
        values = [h[q] for q in QUANTILES]
        check(values == sorted(values), f"{name}: quantiles fall")


def main():
    run, build = sys.argv[1:]
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        print("one CPU only: two ends cannot be pinned; skipped")
        return
    rounds = 6
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, run, "--quick", "--only", "ring,micro", "--rounds", str(rounds),
                   "--scale", "0.002", "--attempts", "1", "--no-build", "--build-dir", build, "--out", out,
                   "--cpus", f"{cpus[0]},{cpus[1]}"]
        subprocess.run(command, check=True)
        with open(os.path.join(out, "bench.json")) as f:
            result = json.load(f)
        with open(os.path.join(out, "bench.html")) as f:
            page = f.read()
        again = subprocess.run(command[:2] + ["--compare", os.path.join(out, "bench.json"),
                                              "--against", os.path.join(out, "bench.json"),
                                              "--out", out], check=True, capture_output=True,
                               text=True).stdout
    # Every variant hands over every message whole, or it ends the program.
    subprocess.run([os.path.join(build, "bench", "ring", "bench_ring"), "--designs", "--rounds", "1",
                    "--scale", "0.002", "--attempts", "1", "--cpus", f"{cpus[0]},{cpus[1]}"],
                   check=True, stdout=subprocess.DEVNULL)
    check(result["schema"] == 1 and not result["errors"], "schema or errors")
    for key in ("cpu", "pair_relation", "caches", "governor", "hypervisor", "kernel", "commit",
                "huge_pages", "before", "after"):
        check(key in result["machine"], f"machine lacks {key}")
    check(len(result["series"]) > 40, "series are missing")
    for series in result["series"]:
        check_series(series, rounds)
    groups = {f["group"] for f in result["figures"]}
    for mode in ("threads", "processes"):
        for group in ("hop 64 B, round trip / 2", "one way 64 B, 1 M/s", "throughput 64 B",
                      "throughput 128 B", "throughput 64 B, batches", "throughput 64 B at -O2",
                      "throughput 128 B at -O2", "throughput 128 B, batches at -O2"):
            check(f"{group}, {mode}" in groups, f"no figure for {group}, {mode}")
    for group in ("hop 64 B, round trip / 2, threads, p99.9",
                  "one way 64 B, 1 M/s, processes, p99.9",
                  "throughput 128 B, threads, at most"):
        check(group in groups, f"no figure for {group}")
    micro = [s["name"] for s in result["series"] if s["bench"] == "micro"]
    check(len(micro) == len(set(micro)) > 10, f"single operations: {micro}")
    turns = sum(len(s["rounds"]) for s in result["series"] if s["bench"] == "ring"
                and not s["group"].endswith(", p99.9"))
    check(sum(result["places"].values()) == turns, "near and far turns")
    for f in result["figures"]:
        if not f["ratio"]["interval95"]:  # too few rounds of one place
            continue
        low, high = f["ratio"]["interval95"]
        check(low <= f["ratio"]["median"] <= high, f"{f['group']}: median outside its interval")
    HTMLParser().feed(page)
    check("<svg" in page and "http" not in page and "<script" not in page, "page is not by itself")
    check("WORSE" not in again and "same" in again, "a run differs from itself")


main()
