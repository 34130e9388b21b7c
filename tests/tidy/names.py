"""Goal: every test that a document names is in the tree, so that nobody is sent to look for proof that
has been renamed or deleted. Method: what stands in backticks in every *.md, held against the TEST()s, the
add_test()s and the LABELS of the sources; nothing has to be built.

    names.py ROOT        prints every name that is not there; status 1 if there is any

Checked are `Suite.Name`, the same with an end left out (..., \u2026 or *), sentences that stand by
themselves, and the patterns after `-R` and `-L` of ctest and tools/test."""
import os
import re
import shlex
import sys

GTEST = re.compile(r"\bTEST(?:_[FP])?\(\s*(\w+),\s*(\w+)\s*\)")
ADDED = re.compile(r"add_test\(\s*NAME\s+([^\s)]+)")
LABELS = re.compile(r"\bLABELS\s+\"?([\w;-]+)|\blabel_tests\(\w+\s+\"([\w;-]+)\"")
# Suites begin with a capital, and so do the sentences behind the dot.
NAMED = re.compile(r"\b([A-Z]\w*)\.((?:[A-Z]\w*)?(?:\.\.\.|\u2026|\*)|[A-Z]\w*)")
# Three words or more, or an end left out: a test also where there is no such suite.
SAYS = re.compile(r"([A-Z].*){3}|[.\u2026*]$")
# Five words or more: a sentence without its suite, not a type.
SENTENCE = re.compile(r"(?=.*[a-z])([A-Z][a-z0-9]*(?:[A-Z][a-z0-9]*){4,})(\.\.\.|\u2026|\*)?")

BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def files(root, *ends):
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(f for f in folders if f not in ("build", ".git"))
        yield from (os.path.join(folder, n) for n in sorted(names) if n.endswith(ends))


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def tests_of(root):
    """@return the names of all tests, and all labels."""
    names, labels = set(), set()
    for path in files(os.path.join(root, "tests"), ".cpp", ".h"):
        names |= {".".join(found) for found in GTEST.findall(read(path))}
    for path in files(os.path.join(root, "tests"), "CMakeLists.txt"):
        text = read(path)
        names |= set(ADDED.findall(text))
        for found in LABELS.findall(text):
            labels |= set(";".join(found).split(";")) - {""}
    return names, labels


def is_there(name, names):
    """`name` may leave out its end."""
    whole = name.rstrip(".\u2026*")
    return whole in names if whole == name else any(n.startswith(whole) for n in names)


def patterns(span):
    """The arguments of -R and -L in a command that runs tests."""
    words = shlex.split(span) if span.count("'") % 2 == 0 else span.split()
    if not words or os.path.basename(words[0]) not in ("ctest", "test"):
        return
    yield from ((w, words[i + 1]) for i, w in enumerate(words[:-1]) if w in ("-R", "-L"))


def lacking(text, names, labels):
    """@return line number and name of what is not there."""
    # A block's ends would be taken for beginnings; its lines are counted.
    text = BLOCK.sub(lambda block: "\n" * block.group().count("\n"), text)
    suites, sentences = ({n.split(".", 1)[i] for n in names} for i in (0, 1))
    for found in re.finditer(r"`([^`]+)`", text):
        span = " ".join(found.group(1).replace("\\|", "|").split())  # a table writes | so
        line = text.count("\n", 0, found.start()) + 1
        for option, pattern in patterns(span):
            if not any(re.search(pattern, n) for n in (names if option == "-R" else labels)):
                yield line, f"{option} {pattern}"
        for suite, name in NAMED.findall(span):
            test = f"{suite}.{name}"
            if (suite in suites or SAYS.search(name)) and not is_there(test, names):
                yield line, test
        if SENTENCE.fullmatch(span) and not is_there(span, sentences):
            yield line, span


def main(root):
    names, labels = tests_of(root)
    count = 0
    for path in files(root, ".md"):
        for line, what in lacking(read(path), names, labels):
            print(f"{os.path.relpath(path, root)}:{line}: no such test: {what}")
            count += 1
    print(f"names: {len(names)} tests, {len(labels)} labels; {count or 'no'} name(s) of nothing")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
