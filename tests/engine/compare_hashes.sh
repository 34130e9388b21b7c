#!/bin/sh
# Compiles core/ and replay_hash.cpp with g++ and clang++ at -O0 and -O3 and compares what they
# print of a generated stream and of the journals of live engines amid all faults, which must come
# to what those had come to. Goal: a replay gives the same state whoever compiled it (DESIGN rule 1).
#
#     compare_hashes.sh ROOT REPLAY_HASH SIMULATE      (those that this build made)
set -eu
root=${1:?}
built=${2:?}
simulate=${3:?}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"$simulate" --seeds 24 --signals 200 --record "$dir/log-"
replay() { "$1" && "$1" "$dir"/log-*; }
want=$(replay "$built")
echo "this build: $want"
failed=0
ran=0
cache=$(command -v ccache || true)
for cxx in g++ clang++-19; do
    if ! command -v "$cxx" >/dev/null; then
        if grep -qs "^clang-19" "$root/tools/packages.txt" && [ "$cxx" = clang++-19 ]; then
            echo "$cxx is missing although tools/packages.txt lists it: install clang-19"
            exit 1
        fi
        echo "$cxx: not installed, left out"
        continue
    fi
    for level in -O0 -O3; do
        mkdir -p "$dir/$cxx$level"
        objects=
        for f in "$root"/core/*.cpp "$root"/tests/engine/replay_hash.cpp; do
            o=$dir/$cxx$level/$(basename "$f").o
            $cache "$cxx" -std=c++20 -w "$level" -I"$root" -c "$f" -o "$o"
            objects="$objects $o"
        done
        # shellcheck disable=SC2086
        "$cxx" $objects -o "$dir/$cxx$level/replay_hash"
        got=$(replay "$dir/$cxx$level/replay_hash") || failed=1
        ran=$((ran + 1))
        if [ "$got" = "$want" ]; then
            echo "$cxx $level: the same"
        else
            echo "$cxx $level: DIFFERS: $got"
            failed=1
        fi
    done
done
[ "$ran" -ge 2 ] || { echo "no compiler found: install g++ or clang-19"; exit 1; }
exit "$failed"
