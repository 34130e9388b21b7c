#!/bin/sh
# Goal: every rule of tidy.sh is able to fail. Method: a small tree, broken once for each rule.
set -u
tidy=${1:?usage: bites.sh TIDY_SH CXX}
cxx=${2:?}
format=$(cd "$(dirname "$tidy")/../.." && pwd)/.clang-format
tree=$(mktemp -d) || exit 2
trap 'rm -rf "$tree"' EXIT
failures=0

fresh() {
    rm -rf "${tree:?}"/*
    mkdir -p "$tree/core" "$tree/persist" "$tree/gateway"
    cp "$format" "$tree/"
    printf '#pragma once\nint pure();\n' >"$tree/core/a.h"
    printf '#include "core/a.h"\n// a new time( in a comment is fine\nint pure() {\n    return 1;\n}\n' >"$tree/core/a.cpp"
}
expect() {  # FILE CONTENT NEEDLE
    fresh
    printf "$2" >"$tree/$1"
    out=$(sh "$tidy" "$tree" "$cxx" 2>&1)
    if [ $? -ne 1 ] || ! printf '%s' "$out" | grep -q "$3"; then
        echo "not caught: $1: $2"
        failures=$((failures + 1))
    fi
}

fresh
sh "$tidy" "$tree" "$cxx" >/dev/null || { echo "a clean tree is called unclean"; failures=1; }
expect core/b.cpp '#include "persist/journal.h"\n' 'includes persist'
expect persist/b.cpp '#include "gateway/tcp.h"\n' 'includes gateway'
expect gateway/b.cpp '#include "tests/engine/rig.h"\n' 'includes tests'
expect core/b.cpp 'long f() { return clock_gettime(0, 0); }\n' 'no clock'
expect core/b.cpp 'auto f() { return std::chrono::steady_clock::now(); }\n' 'no clock'
expect core/b.cpp 'long f() { return time(nullptr); }\n' 'no clock'
expect core/b.cpp 'int f() { return rand(); }\n' 'no randomness'
for header in '<thread>' '<iostream>' '<fcntl.h>' '<sys/socket.h>' '"fcntl.h"' '<cstdlib>' \
    '<isa-l/crc.h>'; do
    expect core/b.cpp "#include $header\n" 'core includes core/ and these alone'
done
expect core/b.cpp '#  include THAT\n' 'not THAT'
expect core/assert.cpp '#include <fcntl.h>\n' 'these alone.*cstdlib; not fcntl.h'
expect core/b.cpp 'void f() { printf(""); }\n' 'no I/O'
expect core/b.cpp 'char* f() { return std::getenv(""); }\n' 'no I/O'
expect core/b.cpp 'std::unordered_map<int, int> m;\n' 'hash order'
expect core/b.cpp 'double f();\n' 'no floating point'
expect core/b.cpp 'int* f() { return new int; }\n' 'does not allocate'
expect core/b.cpp 'std::vector<int> v;\n' 'fixed tables'
expect core/b.cpp 'void f() { throw 1; }\n' 'neither throws'
expect core/b.cpp '// TO''DO later\n' 'finish it'
expect core/b.cpp "// $(printf '%0110d' 0)\n" 'over 100 characters'
expect core/b.cpp "$(yes '//' | head -601 | tr '\n' '@' | sed 's/@/\\n/g')" '600 is the limit'
expect core/b.cpp 'int  f( );\n' 'not as .clang-format has it'
expect core/b.h '#pragma once\nsize_of f();\n' 'does not compile alone'
[ "$failures" -eq 0 ] && echo "every rule bites"
exit "$failures"
