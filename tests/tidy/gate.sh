#!/usr/bin/env bash
# Goal: what failed runs again only if a second run can say something about it, and a failure is
# never taken for a success. Method: run_tests of tools/lib.sh, with a stand-in for ctest that
# prints more names than a pipe holds, for every case of what failed.
set -u
lib="${1:?usage: gate.sh LIB_SH}"
tree="$(mktemp -d)" || exit 2
trap 'rm -rf "${tree:?}"' EXIT
mkdir -p "$tree/bin" "$tree/Testing/Temporary" || exit 2
failures=0

# What the stand-in does is told by files: `failing` (names), `listing-fails`, `again-fails`.
cat >"$tree/bin/ctest" <<'EOF'
#!/usr/bin/env bash
case " $* " in
    *' -N '*)
        [ -e listing-fails ] && exit 1
        for i in $(seq 1000); do
            printf '  Test #%d: Window.%04d%090d\n' "$i" "$i" 0
        done
        printf '  Test #1001: Window.LosesNothingOverKills\n'
        exit 0 ;;
    *' --repeat '*)
        touch ran-again
        [ -e again-fails ] && exit 8
        exit 0 ;;
esac
[ -s failing ] || exit 0
sed 's/^/7:/' failing >Testing/Temporary/LastTestsFailed.log
# A listing that fails does so from here on.
[ -e listing-breaks ] && touch listing-fails
exit 8
EOF
chmod +x "$tree/bin/ctest"
window() { printf 'Window.%04d%090d' "$1" 0; }

# expect WHAT STATUS RERUNS RETRY FAILED...
expect() {
    local what="$1" status="$2" reruns="$3" retry="$4" got again=0
    shift 4
    rm -f "$tree/ran-again" "$tree/failing"
    if [ "$#" -gt 0 ]; then printf '%s\n' "$@" >"$tree/failing"; fi
    (cd "$tree" && PATH="$tree/bin:$PATH" \
        bash -c '. "$1"; run_tests "$2"' gate "$lib" "$retry") >"$tree/out" 2>&1
    got=$?
    [ -e "$tree/ran-again" ] && again=1
    if [ "$got" -ne "$status" ] || [ "$again" -ne "$reruns" ]; then
        echo "$what: status $got instead of $status, ran again: $again instead of $reruns"
        cat "$tree/out"
        failures=$((failures + 1))
    fi
}

expect 'all passed' 0 0 retry
for n in 1 500 1000; do
    expect "test $n of those that may failed" 0 1 retry "$(window "$n")"
done
expect 'the same, no retry' 8 0 '' "$(window 1)"
expect 'a test of safety failed' 8 0 retry Safety.IsKept
expect 'one of each failed, safety last' 8 0 retry "$(window 3)" Safety.IsKept
expect 'one of each failed, safety first' 8 0 retry Safety.IsKept "$(window 3)"
expect 'one that may by its label, not by its name' 8 0 retry Window.LosesNothingOverKills
expect 'four failed' 8 0 retry "$(window 1)" "$(window 2)" "$(window 3)" "$(window 4)"
expect 'its name is the beginning of one that may' 8 0 retry Window.0001
echo 'x.cpp:1:2: runtime error: shift' >"$tree/Testing/Temporary/LastTest.log"
expect 'a sanitizer found something' 8 0 retry "$(window 1)"
rm "$tree/Testing/Temporary/LastTest.log"
# As ctest writes it, with one that was skipped between two that ran.
cat >"$tree/Testing/Temporary/LastTest.log" <<'EOF'
1/3 Testing: Window.0001
1/3 Test: Window.0001
Output:
----------------------------------------------------------
[ RUN      ] Window.0001
what it says: Skipped a beat
[       OK ] Window.0001 (0 ms)
<end of output>
2/3 Testing: Disk.ThatIsFull/0
2/3 Test: Disk.ThatIsFull/0
Output:
----------------------------------------------------------
[ RUN      ] Disk.ThatIsFull/0
/src/full.cpp:7: Skipped
SKIPPED: needs root
to mount a disk

[  SKIPPED ] Disk.ThatIsFull/0 (0 ms)
<end of output>
3/3 Testing: Window.0002
3/3 Test: Tidy.Script
Output:
----------------------------------------------------------
SKIPPED: no such tool
<end of output>
EOF
for failed in '' "$(window 1)"; do
    expect 'one was skipped' "$([ -n "$failed" ] && echo 8 || echo 0)" 0 '' ${failed:+"$failed"}
    if [ "$(grep -c 'Disk.ThatIsFull/0: SKIPPED: needs root to mount a disk$' "$tree/out")" -ne 1 ] ||
        [ "$(grep -c 'Tidy.Script: SKIPPED: no such tool$' "$tree/out")" -ne 1 ] ||
        [ "$(grep -c beat "$tree/out")" -ne 0 ]; then
        echo "who was skipped, and why, is not said once:"
        cat "$tree/out"
        failures=$((failures + 1))
    fi
done
rm "$tree/Testing/Temporary/LastTest.log"
touch "$tree/again-fails"
expect 'it failed again' 8 1 retry "$(window 1)"
rm "$tree/again-fails"
touch "$tree/listing-breaks"
expect 'nobody knows what may' 8 0 retry "$(window 1)"

# What was covered: all words of the one, of the other what it says itself, nothing of a third.
cat >"$tree/Testing/Temporary/LastTest.log" <<'EOF'
1/3 Test: Model.All
Output:
[ RUN      ] Model.All
12 interleavings
<end of output>
2/3 Test: Fix.Table
Output:
a log line
covers: 7 messages
<end of output>
3/3 Test: Ops.Other
Output:
covers: 1 thing
<end of output>
EOF
told="$(cd "$tree" && bash -c '. "$1"; say_covered "$2"' gate "$lib" $'=Fix.Table\nModel.All' 2>&1)"
if [ "$told" != $'Model.All\n    12 interleavings\nFix.Table\n    covers: 7 messages' ]; then
    echo "what was covered is said as: $told"
    failures=$((failures + 1))
fi
[ "$failures" -eq 0 ] && echo "the gate closes"
exit "$failures"
