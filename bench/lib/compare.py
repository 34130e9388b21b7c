"""Compares two runs by their ratios: absolute figures of two hours are of two machines."""
import json
import sys

import figures


def load(path):
    try:
        with open(path) as f:
            data = json.load(f)
        if data["schema"] != 1:
            raise ValueError(f"schema {data['schema']}, this program reads 1")
        return data
    except (OSError, ValueError, KeyError, TypeError) as e:
        sys.exit(f"bench/run: {path} is no result of bench/run: {e}")


def key(figure):
    # Which rival is the best may change from run to run; which limit it is may not.
    against = "" if figure["part"] == "rival" else figure["against"]
    return figure["bench"], figure["group"], figure["name"], figure["part"], against


def verdict(new, old, better):
    a, b = new["interval95"], old["interval95"]
    if not a or not b:
        return "no interval"
    if a[0] <= b[1] and b[0] <= a[1]:
        return "same"
    return "better" if (a[0] > b[1]) == (better == "higher") else "WORSE"


def against(new, old):
    before = {key(f): f for f in old["figures"]}
    rows = []
    for f in new["figures"]:
        o = before.get(key(f))
        if o is None:
            continue
        rows.append({"bench": f["bench"], "group": figures.what_of(f), "part": f["part"],
                     "old": o["ratio"], "new": f["ratio"],
                     "change": f["ratio"]["median"] / o["ratio"]["median"]
                     if o["ratio"]["median"] else None,
                     "verdict": verdict(f["ratio"], o["ratio"], f["better"])})
    return {"commit": old["machine"]["commit"], "at": old["machine"]["before"]["at"], "rows": rows}


def text(comparison):
    lines = [f"against {comparison['commit']} of {comparison['at']} (ratios; intervals that do not "
             "meet count)"]
    for r in comparison["rows"]:
        lines.append("%-38s to %-6s %9.3gx -> %9.3gx  %s" % (
            r["group"], r["part"], r["old"]["median"], r["new"]["median"], r["verdict"]))
    return "\n".join(lines)
