"""Goal: intervals, ratios and verdicts are what they are called. Method: figures with known
answers. usage: BENCH_LIB"""
import sys
import unittest

sys.path.insert(0, sys.argv.pop(1))
sys.dont_write_bytecode = True
import compare  # noqa: E402
import figures  # noqa: E402


def series(name, part, rounds, better="higher"):
    return {"group": "g", "name": name, "part": part, "unit": "M/s", "better": better,
            "rounds": rounds, "undisturbed": [True] * len(rounds)}


def figure(interval, better):
    return {"interval95": interval, "median": sum(interval) / 2}, better


class Figures(unittest.TestCase):
    def test_interval_of_the_median_is_that_of_the_binomial(self):
        # Standard table: n = 10: 2nd and 9th, n = 6: 1st and 6th, n = 30: 10th and 21st.
        for n, low, high in ((6, 1, 6), (10, 2, 9), (30, 10, 21)):
            self.assertEqual(figures.interval_of_median(list(range(1, n + 1))), [low, high])
        self.assertIsNone(figures.interval_of_median([1, 2, 3, 4, 5]))

    def test_best_rival_is_chosen_by_all_rounds_and_paired_by_round(self):
        out = figures.from_series("ring", [series("a", "rival", [9, 1, 1, 1, 1, 1]),
                                           series("b", "rival", [2, 2, 2, 2, 2, 4]),
                                           series("o", "ours", [8, 8, 8, 8, 8, 8])])
        self.assertEqual([f["against"] for f in out], ["b"])
        self.assertEqual(out[0]["ratio"]["median"], 4)
        self.assertEqual(out[0]["ratio"]["interval95"], [2, 4])

    def test_best_is_the_lowest_where_less_is_better(self):
        out = figures.from_series("ring", [series("a", "rival", [5] * 6, "lower"),
                                           series("b", "rival", [9] * 6, "lower"),
                                           series("o", "ours", [5] * 6, "lower")])
        self.assertEqual(out[0]["against"], "a")

    def test_tails_are_held_against_the_best_rivals_own_tail(self):
        def with_tail(name, part, ns):
            return series(name, part, [1] * 6, "lower") | {"histogram_ns": {"p99.9": ns}}
        out = figures.tails("ring", [with_tail("l", "limit", 50), with_tail("a", "rival", 300),
                                     with_tail("b", "rival", 200), with_tail("o", "ours", 100),
                                     series("o", "ours", [1] * 6)])
        self.assertEqual([(f["against"], f["ratio"]["median"]) for f in out], [("l", 2), ("b", 0.5)])

    def test_figures_that_a_part_makes_itself_have_intervals_and_can_get_worse(self):
        def row(rounds):
            return figures.from_table("journal", [{"name": "durable_ack_p50_us", "value": 140,
                                                   "limit": 144, "ratio": 1, "rounds": rounds}])
        machine = {"commit": "c", "before": {"at": "t"}}
        old, new = ({"machine": machine, "figures": row([base + i / 100 for i in range(30)])}
                    for base in (1, 2))
        self.assertEqual(new["figures"][0]["ratio"]["interval95"], [2.09, 2.2])
        compared = compare.against(new, old)
        self.assertEqual([r["verdict"] for r in compared["rows"]], ["WORSE"])
        self.assertIn("1.15x ->      2.15x", compare.text(compared))
        self.assertIsNone(row([])[0]["ratio"]["interval95"])

    def test_small_ratios_are_shown_with_their_digits(self):
        self.assertIn("0.00175x", compare.text({"commit": "c", "at": "t", "rows": [
            {"group": "g", "part": "rival", "old": {"median": 1 / 570}, "new": {"median": 0.002},
             "verdict": "same"}]}))

    def test_goals_bind_what_they_are_written_for(self):
        self.assertEqual(figures.goal_of("hop 64 B, round trip / 2, threads", "limit")["bound"], 1.1)
        self.assertEqual(figures.goal_of("throughput 64 B, threads", "rival")["bound"], 4.0)
        self.assertEqual(figures.goal_of("throughput 128 B at -O2, threads", "rival")["bound"], 4.0)
        tail = "one way 64 B, 1 M/s, threads, p99.9"
        self.assertEqual(figures.goal_of(tail, "rival")["bound"], 1)
        self.assertIsNone(figures.goal_of("hop 64 B, round trip / 2, threads, p99.9", "limit"))
        self.assertIsNone(figures.goal_of("throughput 64 B, batches, threads", "rival"))

    def test_ours_is_held_against_each_limit_and_the_best_rival_against_the_lines(self):
        out = figures.from_series("ring", [
            series("512-record stream", "limit", [11] * 6),
            series(figures.CEILING, "limit", [12] * 6),
            series("r", "rival", [6] * 6), series("o", "ours", [9] * 6)])
        got = {(f["part"], f["name"], f["against"]): f["ratio"]["median"] for f in out}
        self.assertEqual(got, {("limit", "o", "512-record stream"): 9 / 11,
                               ("limit", "o", figures.CEILING): 0.75,
                               ("rival", "o", "r"): 1.5, ("headroom", figures.CEILING, "r"): 2})
        self.assertEqual(len({compare.key(f) for f in out}), len(out))

    def test_variants_of_the_ring_are_held_against_the_ring_itself(self):
        rows = [series("v", "variant", [3] * 6), series("o", "ours", [4] * 6)]
        out = figures.from_series("designs", rows)
        self.assertEqual([(f["name"], f["against"], f["ratio"]["median"]) for f in out],
                         [("v", "o", 0.75)])
        self.assertIn("g: v", figures.text(out))
        self.assertIn("M/s", figures.text(out))
        self.assertEqual(figures.from_series("ring", rows), [])

    def test_each_of_several_rows_of_ours_says_which_it_is(self):
        out = figures.from_series("ring", [series("r", "rival", [2] * 6),
                                           series("millrace", "ours", [8] * 6),
                                           series("millrace, released each", "ours", [4] * 6)])
        self.assertEqual([figures.what_of(f) for f in out], ["g", "g: millrace, released each"])
        self.assertEqual(len({compare.key(f) for f in out}), 2)

    def test_a_goal_in_milliseconds_binds_the_value_and_not_the_ratio(self):
        def timed(group, name, part, ms):
            return series(name, part, [ms] * 6, "lower") | {
                "group": group, "unit": "ms", "histogram_ns": {"p99": ms * 1e6}}
        out = figures.values("recovery", [
            timed("recovery of engine", "detected", "ours", 4),
            timed("recovery of engine", "first message", "ours", 50),
            timed("recovery of engine", "/bin/true", "limit", 5),
            timed("recovery of broker", "first message", "ours", 51),
            timed("recovery of broker", "/bin/true", "limit", 5)])
        self.assertEqual([(f["group"], f["value"], f["ratio"]["median"]) for f in out],
                         [("recovery of engine, p99", 50, 10), ("recovery of broker, p99", 51, 10.2)])
        self.assertEqual([figures.met(f) for f in out], [True, False])
        self.assertIn("<= 50 ms NOT MET", figures.goal_text(out[1]))

    def test_a_goal_beyond_what_the_lines_allow_is_called_out_of_reach(self):
        f = {"goal": {"sign": ">=", "bound": 4.0}, "part": "headroom",
             "ratio": {"interval95": [1.7, 1.9]}}
        self.assertIn("OUT OF REACH", figures.goal_text(f))
        self.assertIn("NOT MET", figures.goal_text(f | {"part": "rival"}))

    def test_near_and_far_rounds_are_reported_apart_and_mixed_ones_not(self):
        near, far, n = 45.0, 160.0, 6
        ours = series("o", "ours", [2] * n + [10] * n + [99])
        rival = series("r", "rival", [1] * (2 * n) + [1])
        ours["hand_off_ns"] = [near] * n + [far] * n + [near]
        rival["hand_off_ns"] = [near] * n + [far] * n + [far]
        for s in (ours, rival):
            s["hand_off_after_ns"] = list(s["hand_off_ns"])
        got = {f["group"]: (f["ratio"]["median"], f["ratio"]["n"])
               for f in figures.by_place("ring", [ours, rival])}
        self.assertEqual(got, {"g, near pair": (2, n), "g, far pair": (10, n)})
        self.assertEqual(figures.places([ours, rival]), {"near": 13, "far": 13, "moved": 0})
        ours["hand_off_after_ns"][0] = far  # moved meanwhile: five of one kind have no interval
        got = {f["group"]: (f["ratio"]["n"], f["ratio"]["interval95"])
               for f in figures.by_place("ring", [ours, rival])}
        self.assertEqual(got, {"g, near pair": (n - 1, None), "g, far pair": (n, [10, 10])})
        self.assertEqual(figures.places([ours, rival])["moved"], 1)

    def test_variants_of_the_ring_are_reported_near_and_far_apart_too(self):
        near, far = 45.0, 160.0
        rows = [series("v", "variant", [3] * 6 + [8] * 6), series("o", "ours", [6] * 6 + [4] * 6)]
        for s in rows:
            s["hand_off_ns"] = s["hand_off_after_ns"] = [near] * 6 + [far] * 6
        got = {f["group"]: (f["name"], f["ratio"]["median"])
               for f in figures.by_place("designs", rows)}
        self.assertEqual(got, {"g, near pair": ("v", 0.5), "g, far pair": ("v", 2)})

    def test_a_near_round_is_never_held_against_a_far_one(self):
        ours, rival = series("o", "ours", [2, 8, 2, 8]), series("r", "rival", [2, 2, 8, 8])
        for s in (ours, rival):
            s["hand_off_ns"] = [45.0 if v == 2 else 160.0 for v in s["rounds"]]
            s["hand_off_after_ns"] = s["hand_off_ns"]
        self.assertEqual(figures.paired(ours, rival), [1, 1])

    def test_each_queue_is_compared_by_the_flags_that_suit_it_too(self):
        rows = [series("millrace", "ours", [9] * 6), series("r", "rival", [2] * 6),
                series("millrace", "ours", [7] * 6) | {"group": "g at -O2"},
                series("r", "rival", [3] * 6) | {"group": "g at -O2"}]
        got = {f["group"]: (f["against"], f["ratio"]["median"])
               for f in figures.from_series("ring", rows)}
        self.assertEqual(got, {"g": ("r", 4.5), "g at -O2": ("r", 7 / 3),
                               "g, each by its better flags": ("r at -O2", 3)})

    def test_of_many_intervals_all_hold_together(self):
        values = list(range(1, 31))
        self.assertEqual(figures.interval_of_median(values), [10, 21])
        low, high = figures.interval_of_median(values, 18)
        self.assertTrue(low < 10 and high > 21)
        self.assertIsNone(figures.interval_of_median(values[:6], 18))

    def test_a_goal_is_met_or_missed_only_by_the_whole_interval(self):
        for interval, sign, expected in (([1.0, 1.1], "<=", True), ([1.0, 1.2], "<=", None),
                                         ([1.2, 1.3], "<=", False), ([1.1, 2.0], ">=", True),
                                         ([0.5, 2.0], ">=", None), ([0.5, 1.0], ">=", False)):
            got = figures.met({"goal": {"sign": sign, "bound": 1.1},
                               "ratio": {"interval95": interval}})
            self.assertIs(got, expected, (interval, sign))

    def test_verdict_counts_only_intervals_that_do_not_meet(self):
        for new, old, better, expected in (([1, 2], [2, 3], "higher", "same"),
                                           ([3, 4], [1, 2], "higher", "better"),
                                           ([1, 2], [3, 4], "higher", "WORSE"),
                                           ([1, 2], [3, 4], "lower", "better"),
                                           ([3, 4], [1, 2], "lower", "WORSE")):
            a, b = figure(new, better)[0], figure(old, better)[0]
            self.assertEqual(compare.verdict(a, b, better), expected)


unittest.main()
