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

# What the stand-in does is told by files: `failing` (names), `listing-fails`, `again-fails`. It writes
# over the log of the last run whatever it is asked, as ctest does.
cat >"$tree/bin/ctest" <<'EOF'
#!/usr/bin/env bash
case " $* " in
    *' -N '*)
        echo 'a listing' >Testing/Temporary/LastTest.log
        [ -e listing-fails ] && exit 1
        for i in $(seq 1000); do
            printf '  Test #%d: Window.%04d%090d\n' "$i" "$i" 0
        done
        printf '  Test #1001: Window.LosesNothingOverKills\n'
        exit 0 ;;
    *' --repeat '*)
        touch ran-again
        echo '1/1 Test: the second run' >Testing/Temporary/LastTest.log
        [ -e again-fails ] && exit 8
        exit 0 ;;
esac
cat log >Testing/Temporary/LastTest.log 2>/dev/null
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
echo 'x.cpp:1:2: runtime error: shift' >"$tree/log"
expect 'a sanitizer found something' 8 0 retry "$(window 1)"
rm "$tree/log"
# As ctest writes it, with one that was skipped between two that ran.
cat >"$tree/log" <<'EOF'
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

# ran NAME RESULT: ctest's record of one test, whose output is read from standard input.
ran() {
    printf '1/2 Testing: %s\n1/2 Test: %s\nCommand: "x"\nOutput:\n%s\n' "$1" "$1" "-----------"
    cat
    printf '<end of output>\nTest time =   0.01 sec\n-----------\n%s\n\n' "$2"
}
unproven() { printf '/src/x.cpp:7: Failure\nFailed\nNOT PROVEN: %s\n\n' "$1"; }
ended() { printf '[  PASSED  ] 0 tests.\n[  FAILED  ] 1 test, listed below:\n\n 1 FAILED TEST\n'; }

# Whoever says that chance gave nothing to judge runs again, and nobody else who judges safety.
{ unproven 'nobody died'; unproven 'nothing traded'; ended; } | ran Safety.IsKept 'Test Failed.' >"$tree/log"
expect 'its own words say that it proved nothing' 0 1 retry Safety.IsKept
expect 'the same, no retry' 8 0 '' Safety.IsKept
expect 'beside it one that may' 0 1 retry Safety.IsKept "$(window 1)"
expect 'beside it one that says nothing of the kind' 8 0 retry Safety.IsKept Safety.OfOthers
{ unproven 'nobody died'; printf '/src/x.cpp:9: Failure\nExpected: 1\n\n'; ended; } |
    ran Safety.IsKept 'Test Failed.' >"$tree/log"
expect 'one of two failures is a claim' 8 0 retry Safety.IsKept
{ printf '/src/x.cpp:9: Failure\nExpected: 1\n\nOutput:\n'; unproven 'nobody died'; ended; } |
    ran Safety.IsKept 'Test Failed.' >"$tree/log"
expect 'the same, with the output of another tool between them' 8 0 retry Safety.IsKept
{ printf '/src/x.cpp:9: Failure\nValue of: doubled\nNOT PROVEN: no\n\n'; ended; } |
    ran Safety.IsKept 'Test Failed.' >"$tree/log"
expect 'the words stand in the message of a claim' 8 0 retry Safety.IsKept
unproven 'nobody died' | ran Safety.IsKept 'Test Failed.' >"$tree/log"
expect 'it did not come to its end' 8 0 retry Safety.IsKept
{ echo 'NOT PROVEN: nobody died'; ended; } | ran Safety.IsKept 'Test Failed.' >"$tree/log"
expect 'no failure is told' 8 0 retry Safety.IsKept
{ unproven 'nobody died'; ended; } | ran Safety.IsKeptToo 'Test Failed.' >"$tree/log"
expect 'another proved nothing' 8 0 retry Safety.IsKept
{ unproven 'nobody died'; ended; echo 'ERROR: AddressSanitizer: x'; } |
    ran Safety.IsKept 'Test Failed.' >"$tree/log"
expect 'it proved nothing, and a sanitizer found something' 8 0 retry Safety.IsKept

# Why something failed is said last, of whatever failed, in few words.
{
    seq -f 'chatter %.0f' 300
    printf '/src/x.cpp:9: Failure\nExpected: the first claim\n'
    seq -f 'noise %.0f' 300
    for i in $(seq 30); do printf '/src/x.cpp:9: Failure\n'; seq 20; done
    echo 'its last words'
} | ran Safety.IsKept 'Test Failed.' >"$tree/log"
echo 'calm' | ran Safety.OfOthers 'Test Passed.' >>"$tree/log"
expect 'why it failed' 8 0 retry Safety.IsKept
if [ "$(sed -n '/^WHY:$/,$p' "$tree/out" | sed -n 2p)" != Safety.IsKept ] ||
    [ "$(sed -n '/^WHY:$/,$p' "$tree/out" | grep -v '^    \.\.\.$' | wc -l)" -ne 62 ] ||
    [ "$(tail -n 1 "$tree/out")" != '    its last words' ] ||
    ! grep -qx '    Expected: the first claim' "$tree/out" || ! grep -qx '    noise 9' "$tree/out" ||
    grep -q 'noise 10$\|chatter\|calm' "$tree/out"; then
    echo "why it failed is not said last, in 60 lines:"
    cat "$tree/out"
    failures=$((failures + 1))
fi
rm "$tree/log"

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
