"""Goal: no document names a test that is not there, and names.py would find it. Method: words with known
answers; then the tree. usage: ROOT"""
import sys
import unittest

sys.dont_write_bytecode = True
import names  # noqa: E402

ROOT = sys.argv.pop(1)
TESTS = {"Ring.KeepsOrder", "Ring.RefusesWhatItDoesNotKnow", "Role.IsFree"}
LABELS = {"ring", "attach-fuzz"}


def found(text):
    return [what for _, what in names.lacking(text, TESTS, LABELS)]


class Names(unittest.TestCase):
    def test_what_is_there_is_found_whole_or_by_its_beginning(self):
        self.assertEqual(found("`Ring.KeepsOrder`, `Ring.Keeps...`, `Role.*`, `Ring.Keeps\u2026`"), [])
        self.assertEqual(found("`RefusesWhatItDoesNotKnow`, `WINEPREFIX`, `RingProducer`"), [])
        self.assertEqual(found("`ctest -R 'Keeps|Gone'`, `tools/test -L attach-fuzz`"), [])
        self.assertEqual(found("| `ctest -R 'Gone\\|Keeps'` |"), [])
        self.assertEqual(found("`Other.Thing`, `Ring.capacity`"), [])
        self.assertEqual(found("outside of code Ring.Gone and -L gone"), [])

    def test_what_is_not_there_is_named(self):
        for text in ("Ring.Keeps", "Ring.KeepsOrders", "Rung.*", "Ring.Gone...", "Rung.KeepsItsOrder", "Ring.Gone\u2026"):
            self.assertEqual(found(f"`{text}`"), [text])
        self.assertEqual(found("`RefusesWhatItDoesKnow`"), ["RefusesWhatItDoesKnow"])
        self.assertEqual(found("`ctest -R Gone`, `tools/test -L shm`"), ["-R Gone", "-L shm"])
        self.assertEqual(found("```text\n`\n```\nand `Ring.Gone`"), ["Ring.Gone"])

    def test_its_line_is_said(self):
        self.assertEqual(list(names.lacking("\n\n`Ring.Gone`", TESTS, LABELS)), [(3, "Ring.Gone")])

    def test_the_tree_is_read_and_clean(self):
        tests, labels = names.tests_of(ROOT)
        self.assertIn("SpscRing.DeliversInOrderOverManyLaps", tests)  # a TEST()
        self.assertIn("Tidy.EveryRuleBites", tests)                   # an add_test()
        self.assertLessEqual({"ring", "ladder", "chaos"}, labels)
        self.assertEqual(names.main(ROOT), 0)


unittest.main()
