#!/bin/sh
# Goal: tools/lint finds what .clang-tidy asks for, in headers too, and skips only what it has seen
# clean. Method: a small tree with its own copy of both, broken and mended. 77: no clang-tidy.
set -u
root=${1:?usage: lint.sh ROOT}
if ! command -v clang-tidy-19 >/dev/null || ! command -v clang++-19 >/dev/null; then
    echo 'SKIPPED: clang-tidy-19 and clang++-19 are not installed; NOT TESTED HERE'
    exit 77
fi
tree=$(mktemp -d) || exit 2
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree/tools" "$tree/core" "$tree/tests" "$tree/build/release"
cp "$root/tools/lint" "$tree/tools/"
cp "$root/.clang-tidy" "$tree/"
failures=0

good='inline int half(int n) {\n    return n / 2;\n}\nint quarter(int n);\n'
printf "#pragma once\n$good" >"$tree/core/a.h"
printf '#include "core/a.h"\nint quarter(int n) {\n    return half(half(n));\n}\n' >"$tree/core/a.cpp"
printf 'static int Bad_Name(int n) {\n    return n;\n}\n' >"$tree/tests/t.cpp"
entry() {
    printf '{"directory": "%s", "file": "%s", "command": "c++ -I%s -std=gnu++20 -o a.o -c %s"}' \
        "$tree/build/release" "$tree/$1" "$tree" "$tree/$1"
}
printf '[%s, %s]' "$(entry core/a.cpp)" "$(entry tests/t.cpp)" \
    >"$tree/build/release/compile_commands.json"

expect() {  # WHAT STATUS NEEDLE ARGUMENT...
    what=$1 status=$2 needle=$3
    shift 3
    out=$("$tree/tools/lint" "$@" 2>&1)
    got=$?
    if [ "$got" -ne "$status" ] || ! printf '%s' "$out" | grep -q "$needle"; then
        printf 'lint, %s: status %s, not %s with "%s":\n%s\n' \
            "$what" "$got" "$status" "$needle" "$out"
        failures=$((failures + 1))
    fi
}

expect 'a clean product' 0 '1 files, 0 with findings, 0 unchanged'
expect 'again' 0 '1 files, 0 with findings, 1 unchanged'
printf "#pragma once\n$good" | sed 's/half(/Half(/' >"$tree/core/a.h"
sed -i 's/half(/Half(/g' "$tree/core/a.cpp"
expect 'a name in a header' 1 "core/a.h:2.*'Half'"
expect 'the same, which is not kept as clean' 1 "core/a.h:2.*'Half'"
sed -i 's/n) {/n) {  \/\/ NOLINT(readability-identifier-naming)/' "$tree/core/a.h"
expect 'the same, with leave' 0 '1 files, 0 with findings, 0 unchanged'
sed -i 's/ *\/\/ NOLINT.*//' "$tree/core/a.h"
expect 'without it again: a comment counts as a change' 1 "'Half'"
printf "#pragma once\n$good" >"$tree/core/a.h"
expect 'a file that does not compile' 1 'Half'
sed -i 's/Half(/half(/g' "$tree/core/a.cpp"
expect 'mended' 0 '1 files, 0 with findings'
sed -i 's/^  bugprone-\*,/  bugprone-*, cert-*,/' "$tree/.clang-tidy"
expect 'other rules' 0 '1 files, 0 with findings, 0 unchanged'
expect 'a test, by name' 1 "'Bad_Name'" "$tree/tests/t.cpp"
expect 'a folder' 1 "'Bad_Name'" "$tree/tests"
expect 'no such file' 2 'not compiled by the release preset' "$tree/core/b.cpp"
[ "$failures" -eq 0 ] && echo 'lint: every rule holds'
exit "$failures"
