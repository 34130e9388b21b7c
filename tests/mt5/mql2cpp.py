#!/usr/bin/env python3
"""Makes C++ out of an MQL5 program, so that the Expert Advisor's own source can be tested.

    mql2cpp.py MAIN.mq5 OUT.cpp [DEPFILE]

Everything that is changed, line by line; what is not listed reaches the compiler as written:

  1. #include "x.mqh"       the file takes the line's place, once, as in MQL5; #line keeps names
  2. #property ...          dropped
  3. input T name = v;      T name = v; and the name is registered, so that the host can set it
  4. T &name[]              MqlArray<T> &name          (parameters)
  5. T name[];              MqlArray<T> name;          (dynamic array: variable or member)
  6. T name[N];             MqlArray<T> name = mql_fixed<T>(N);
  7. MathMin, ArrayResize, string, ulong, MqlTick ... are C++ of tests/mt5/mql5.h

The whole stands in namespace ea.
"""
import os
import re
import sys

TYPE = r"[A-Za-z_]\w*"
PARAMETER = re.compile(rf"\b({TYPE})\s*&\s*(\w+)\[\]")
DYNAMIC = re.compile(rf"^(\s*)({TYPE})\s+(\w+)\[\];")
FIXED = re.compile(rf"^(\s*)({TYPE})\s+(\w+)\[([^\]]+)\];")
INPUT = re.compile(rf"^input\s+({TYPE})\s+(\w+)\s*=\s*([^;]+);")
INCLUDE = re.compile(r'^\s*#include\s+"([^"]+)"')


def split_comment(line):
    """Code and trailing // comment (none of ours has // in a string)."""
    at = line.find("//")
    return (line, "") if at < 0 else (line[:at], line[at:])


def change(line):
    code, comment = split_comment(line)
    if code.lstrip().startswith("#property"):
        return "// " + code.strip()
    code = PARAMETER.sub(r"MqlArray<\1> &\2", code)
    code = INPUT.sub(r'\1 \2 = \3; static const MqlInput input_\2("\2", &\2);', code)
    if not code.lstrip().startswith("return"):
        code = DYNAMIC.sub(r"\1MqlArray<\2> \3;", code)
        code = FIXED.sub(r"\1MqlArray<\2> \3 = mql_fixed<\2>(\4);", code)
    return code + comment


def translate(path, out, seen):
    path = os.path.abspath(path)
    if path in seen:
        return
    seen.append(path)
    out.append(f'#line 1 "{path}"')
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            line = line.rstrip("\n")
            include = INCLUDE.match(line)
            if include:
                translate(os.path.join(os.path.dirname(path), include.group(1)), out, seen)
                out.append(f'#line {number + 1} "{path}"')
            else:
                out.append(change(line))


def main():
    source, target = sys.argv[1:3]
    out = ['#include "tests/mt5/mql5.h"', "namespace ea {"]
    seen = []
    translate(source, out, seen)
    out.append("}  // namespace ea")
    out.append('#include "tests/mt5/entry_points.inc"')
    with open(target, "w", encoding="utf-8") as f:
        f.write("\n".join(out) + "\n")
    if len(sys.argv) > 3:
        with open(sys.argv[3], "w", encoding="utf-8") as f:
            f.write(f"{target}: {' '.join(seen)}\n")


if __name__ == "__main__":
    main()
