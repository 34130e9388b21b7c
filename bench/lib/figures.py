"""Figures: ratios of ours to the limit and to the best rival, over the rounds they shared."""
import math
import re
import statistics

# Goals of the design's budget: the group's name as a pattern, and what is compared with.
GOALS = [(r"hop .*(threads|processes)", "limit", "<=", 1.1),
         (r"(hop|one way 64 B, 1 M/s).*, p99\.9", "rival", "<=", 1.0),
         (r"throughput (64|128) B( at -O2)?, (threads|processes)", "rival", ">=", 4.0),
         (r"p99 .* beside inspect top.*", "limit", "<=", 1.01),
         (r"p(50|99) .* beside (redis|clickhouse|postgres|all) .*", "limit", "<=", 1.1),
         (r"rows a second, (Redis|SQLite) .*", "rival", ">=", 0.8)]

# Goals of a value itself, not of a ratio: (group, name, unit, at most). One figure, no interval.
VALUES = [(r"recovery of .*, p99", "first message", "ms", 50.0)]

# The most that any means tried have moved, by name.
CEILING = "each end alone, all at once"

# What a series has one of for each round.
PER_ROUND = ("rounds", "undisturbed", "hand_off_ns", "hand_off_after_ns")

# A bare hand-off that takes less has both ends on a near pair of cores. Measured here: 39 to 50 ns
# or 129 to 250 ns, and nothing between.
NEAR_NS = 90


def interval_of_median(values, compared=1):
    """Exact 95 % interval of the median: order statistics of the binomial. None below 6 values.
    Of several intervals that are `compared` at once all hold together with 95 % (Bonferroni)."""
    n = len(values)
    if n < 6:
        return None
    below, k = 0.0, 0
    while k < n // 2 and below + math.comb(n, k) / 2**n <= 0.025 / compared:
        below += math.comb(n, k) / 2**n
        k += 1
    if k == 0:
        return None
    ordered = sorted(values)
    return [ordered[k - 1], ordered[n - k]]


def spread(values, compared=1):
    quartiles = statistics.quantiles(values, n=4) if len(values) > 1 else [values[0]] * 3
    return {"median": statistics.median(values), "q1": quartiles[0], "q3": quartiles[2],
            "interval95": interval_of_median(values, compared), "n": len(values)}


def goal_of(group, part):
    for pattern, against, sign, bound in GOALS:
        if re.fullmatch(pattern, group) and part == against:
            return {"sign": sign, "bound": bound}
    return None


def best(series):
    """Of several settings and rivals the one with the best median of all rounds, not of each."""
    key = lambda s: statistics.median(s["rounds"])
    return max(series, key=key) if series[0]["better"] == "higher" else min(series, key=key)


def figure(bench, group, ours, other, part, ratios, compared=1):
    return {"bench": bench, "group": group, "name": ours["name"], "against": other["name"],
            "part": part, "unit": ours["unit"], "better": ours["better"],
            "value": statistics.median(ours["rounds"]),
            "other": statistics.median(other["rounds"]), "ratio": spread(ratios, compared),
            "goal": goal_of(group, part)}


def place(ns):
    return "near" if ns < NEAR_NS else "far"


def place_of(series, i):
    """@return near or far if the hand-offs before and after the round agree, None if not."""
    before, after = place(series["hand_off_ns"][i]), place(series["hand_off_after_ns"][i])
    return before if before == after else None


def paired(ours, other):
    """@return the ratios of the rounds in which both were on the same kind of pair of cores, where
    that is known: a near one beside a far one says nothing of queues."""
    pairs = [(i, a / b) for i, (a, b) in enumerate(zip(ours["rounds"], other["rounds"])) if b]
    if ours.get("hand_off_ns") and other.get("hand_off_ns"):
        alike = [(i, r) for i, r in pairs
                 if place_of(ours, i) and place_of(ours, i) == place_of(other, i)]
        pairs = alike or pairs
    return [r for _, r in pairs]


def better_flags(bench, series):
    """Where the same code took turns at two levels of optimisation: ours and the best rival, each at
    the level that suits it."""
    out = []
    groups = list(dict.fromkeys(s["group"] for s in series))
    for group in groups:
        twin = group.replace(" at -O2", "")
        if twin == group or twin not in groups:
            continue
        of = lambda part: [s for s in series if s["group"] in (group, twin) and s["part"] == part]
        ours = [s for s in of("ours") if s["name"] == "millrace"]
        if ours and of("rival"):
            a, b = best(ours), best(of("rival"))
            named = lambda s: s | {"name": s["name"] + (" at -O2" if s["group"] == group else "")}
            f = figure(bench, twin + ", each by its better flags", named(a), named(b), "rival",
                       paired(a, b))
            out.append(f | {"name": "millrace", "goal": goal_of(twin, "rival")})
    return out


def from_series(bench, series):
    """Ours beside each limit and beside the best rival. Where it was measured what either end can
    do by itself (bench/ring/limits.h), also how many times the best rival that is."""
    out = []
    for group in dict.fromkeys(s["group"] for s in series):
        of = lambda part: [s for s in series if s["group"] == group and s["part"] == part]
        rivals = [best(of("rival"))] if of("rival") else []
        for ours in of("ours"):
            for part, others in (("limit", of("limit")), ("rival", rivals)):
                out += [figure(bench, group, ours, o, part, paired(ours, o)) for o in others]
        for ours in of("ours") if bench == "designs" else []:
            out += [figure(bench, group, v, ours, "variant", paired(v, ours), len(of("variant")))
                    for v in of("variant")]
        for rival in rivals:
            for limit in (x for x in of("limit") if x["name"] == CEILING):
                f = figure(bench, group + ", at most", limit, rival, "headroom",
                           paired(limit, rival))
                out.append(f | {"goal": goal_of(group, "rival")})
    return out + better_flags(bench, series)


def places(series):
    """How many turns of all series were taken on a near and on a far pair of cores, and during how
    many it changed."""
    count = {"near": 0, "far": 0, "moved": 0}
    for s in series:
        if not s["group"].endswith(", p99.9"):
            for i in range(len(s.get("hand_off_ns", []))):
                count[place_of(s, i) or "moved"] += 1
    return count


def by_place(bench, series):
    """The figures of from_series for the rounds in which ours and the other were both on a near
    pair, and those for a far one, where there are both. Fewer than six have no interval."""
    out = []
    by_name = {(s["group"], s["name"]): s for s in series if s.get("hand_off_ns")}
    for f in from_series(bench, list(by_name.values())):
        if f["part"] not in ("limit", "rival", "variant") or (f["group"], f["against"]) not in by_name:
            continue
        ours, other = (by_name[f["group"], f[who]] for who in ("name", "against"))
        split = {}
        for where in ("near", "far"):
            rounds = [i for i, b in enumerate(other["rounds"]) if b and
                      place_of(ours, i) == place_of(other, i) == where]
            pick = lambda s: {k: [v[i] for i in rounds] if k in PER_ROUND else v
                              for k, v in s.items()}
            split[where] = (pick(ours), pick(other))
        if min(len(a["rounds"]) for a, _ in split.values()) >= 2:
            compared = sum(x["group"] == f["group"] and x["part"] == "variant" for x in series)
            compared = compared if f["part"] == "variant" else 1
            out += [figure(bench, f"{f['group']}, {where} pair", a, b, f["part"], paired(a, b),
                           compared) for where, (a, b) in split.items()]
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


def values(bench, series):
    """p99 of what has a goal of its own: over all rounds together, beside the limit's p99."""
    out = []
    for ours in (s for s in series if s["part"] == "ours" and s.get("histogram_ns")):
        group = ours["group"] + ", p99"
        for pattern, name, unit, bound in VALUES:
            limit = next((s for s in series if s["part"] == "limit" and s.get("histogram_ns")
                          and s["group"] == ours["group"]), None)
            if limit is None or name != ours["name"] or not re.fullmatch(pattern, group):
                continue
            a, b = (s["histogram_ns"]["p99"] / 1e6 for s in (ours, limit))
            out.append({"bench": bench, "group": group, "name": name, "against": limit["name"],
                        "part": "limit", "unit": unit, "better": "lower", "value": a, "other": b,
                        "ratio": {"median": a / b, "q1": None, "q3": None, "interval95": None,
                                  "n": None},
                        "goal": {"sign": "<=", "bound": bound, "of": "value"}})
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
    if goal and goal.get("of") == "value":
        return figure["value"] <= goal["bound"]
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
        if figure["part"] == "headroom":
            word = {True: "possible", False: "OUT OF REACH", None: "undecided"}[met(figure)]
        unit = " " + figure["unit"] if figure["goal"].get("of") == "value" else "x"
        return f"{figure['goal']['sign']} {figure['goal']['bound']:g}{unit} {word}"
    return figure.get("goal_text", "")


def places_text(result):
    count = result.get("places", {})
    if not sum(count.values()):
        return ""
    return (f"turns by the bare hand-off before and after them: {count['near']} on a near pair of "
            f"cores (below {NEAR_NS} ns), {count['far']} on a far one, {count['moved']} moved")


def what_of(figure):
    """The group, and which of ours it is where that is not the one that the group is about."""
    plain = figure["name"] == "millrace" or figure["part"] == "headroom"
    return figure["group"] + ("" if plain else ": " + figure["name"])


def text(figures):
    lines = ["%-56s %10s %-4s  %-34s %10s %8s  %-20s %s" % (
        "what", "ours", "", "against, in the same run", "", "ratio", "95 % of the median", "goal")]
    for f in figures:
        lines.append("%-56s %10.1f %-4s  %-34s %10.1f %7.3gx  %-20s %s" % (
            what_of(f), f["value"], f["unit"], f["against"][:34], f["other"],
            f["ratio"]["median"], range_text(f["ratio"]), goal_text(f)))
    return "\n".join(lines)
