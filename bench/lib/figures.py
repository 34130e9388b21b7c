"""Figures: ratios of ours to the limit and to the best rival, over the rounds they shared."""
import math
import statistics

# Goals of the design's budget, by the beginning of the group's name and what is compared with.
GOALS = [("hop ", "limit", "<=", 1.1), ("throughput 64 B, t", "rival", ">=", 4.0),
         ("throughput 64 B, p", "rival", ">=", 4.0), ("throughput 128 B, t", "rival", ">=", 4.0),
         ("throughput 128 B, p", "rival", ">=", 4.0),
         ("p99 one way", "limit", "<=", 1.01)]


def interval_of_median(values):
    """Exact 95 % interval of the median: order statistics of the binomial. None below 6 values."""
    n = len(values)
    if n < 6:
        return None
    below, k = 0.0, 0
    while k < n // 2 and below + math.comb(n, k) / 2**n <= 0.025:
        below += math.comb(n, k) / 2**n
        k += 1
    ordered = sorted(values)
    return [ordered[k - 1], ordered[n - k]]


def spread(values):
    quartiles = statistics.quantiles(values, n=4) if len(values) > 1 else [values[0]] * 3
    return {"median": statistics.median(values), "q1": quartiles[0], "q3": quartiles[2],
            "interval95": interval_of_median(values), "n": len(values)}


def goal_of(group, part):
    for start, against, sign, bound in GOALS:
        if group.startswith(start) and part == against:
            return {"sign": sign, "bound": bound}
    return None


def best(series):
    """Of several settings and rivals the one with the best median of all rounds, not of each."""
    key = lambda s: statistics.median(s["rounds"])
    return max(series, key=key) if series[0]["better"] == "higher" else min(series, key=key)


def from_series(bench, series):
    out = []
    for group in dict.fromkeys(s["group"] for s in series):
        of = lambda part: [s for s in series if s["group"] == group and s["part"] == part]
        for ours in of("ours"):
            for part in ("limit", "rival"):
                if not of(part):
                    continue
                other = best(of(part))
                ratios = [a / b for a, b in zip(ours["rounds"], other["rounds"]) if b]
                out.append({
                    "bench": bench, "group": group, "name": ours["name"],
                    "against": other["name"], "part": part, "unit": ours["unit"],
                    "better": ours["better"], "value": statistics.median(ours["rounds"]),
                    "other": statistics.median(other["rounds"]), "ratio": spread(ratios),
                    "goal": goal_of(group, part)})
    return out


def tails(bench, series):
    """p99.9 of all rounds together, beside the limit's and the best rival's: one figure, no interval."""
    out = []
    timed = [s for s in series if s.get("histogram_ns")]
    for group in dict.fromkeys(s["group"] for s in timed):
        of = lambda part: [s for s in timed if s["group"] == group and s["part"] == part]
        tail = lambda s: s["histogram_ns"]["p99.9"]
        for ours in of("ours"):
            for part in ("limit", "rival"):
                if not of(part) or not min(map(tail, of(part))):
                    continue
                other = min(of(part), key=tail)
                ratio = {"median": tail(ours) / tail(other), "q1": None, "q3": None,
                         "interval95": None, "n": None}
                out.append({"bench": bench, "group": group + ", p99.9", "name": ours["name"],
                            "against": other["name"], "part": part, "unit": "ns",
                            "better": "lower", "value": tail(ours), "other": tail(other),
                            "ratio": ratio, "goal": None})
    return out


def from_table(bench, rows):
    """bench_pipeline and bench_journal make their own ratios."""
    out = []
    for r in rows:
        ratio = {"median": r["ratio"], "q1": r.get("low"), "q3": r.get("high"),
                 "interval95": None, "n": None}
        if r.get("rounds"):
            ratio = spread(r["rounds"])
        rate = "/s" in r["name"] or r["name"].endswith("_s")
        out.append({"bench": bench, "group": r["name"], "name": "millrace",
                    "against": r.get("limit_name", "limit of the same run"), "part": "limit",
                    "unit": r.get("unit", ""), "better": "higher" if rate else "lower",
                    "value": r["value"], "other": r["limit"], "ratio": ratio,
                    "goal": None, "goal_text": r.get("goal", "")})
    return out


def met(figure):
    """@return True or False if the whole interval says so, None if it does not (or no goal)."""
    goal, interval = figure.get("goal"), figure["ratio"]["interval95"]
    if not goal or not interval:
        return None
    inside = [v <= goal["bound"] if goal["sign"] == "<=" else v >= goal["bound"] for v in interval]
    return inside[0] if inside[0] == inside[1] else None


def range_text(ratio):
    if ratio["interval95"]:
        return "%.3g..%.3g" % tuple(ratio["interval95"])
    return "-" if ratio["q1"] is None else "%.3g..%.3g (rounds)" % (ratio["q1"], ratio["q3"])


def goal_text(figure):
    if figure.get("goal"):
        word = {True: "met", False: "NOT MET", None: "undecided"}[met(figure)]
        return f"{figure['goal']['sign']} {figure['goal']['bound']}x {word}"
    return figure.get("goal_text", "")


def text(figures):
    lines = ["%-38s %10s  %-34s %10s %8s  %-20s %s" % (
        "what", "ours", "against, in the same run", "", "ratio", "95 % of the median", "goal")]
    for f in figures:
        lines.append("%-38s %10.1f  %-34s %10.1f %7.3gx  %-20s %s" % (
            f["group"], f["value"], f["against"][:34], f["other"], f["ratio"]["median"],
            range_text(f["ratio"]), goal_text(f)))
    return "\n".join(lines)
