# Shared by tools/demo, tools/test and .ci/run. Sourced, not run.
#
# What it prints goes to standard error: standard output belongs to the caller.

set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
began=$SECONDS

# A second checkout finds what the first one compiled.
export CCACHE_BASEDIR="$root" CCACHE_NOHASHDIR=1
# Else it keeps nothing that was compiled with a precompiled header (tools/compile_time.cmake).
export CCACHE_SLOPPINESS=pch_defines,time_macros

say() { printf '%s\n' "$*" >&2; }

# Runs a command with its output kept back; shows all of it if the command fails.
quietly() {
    local what="$1" log status=0
    shift
    log="$(mktemp)"
    "$@" >"$log" 2>&1 || status=$?
    if [ "$status" -ne 0 ]; then
        cat "$log" >&2
        say "$what failed (exit status $status): $*"
        rm -f "$log"
        exit 1
    fi
    rm -f "$log"
}

set_up() { bash "$root/tools/setup" >&2; }

# configure PRESET: once quick, later quicker. The preset decides the folder, build/PRESET.
configure() { (cd "$root" && quietly "cmake --preset $1" cmake --preset "$1"); }

# build PRESET [TARGET...]: as many jobs as cores, fewer if memory is short (a job takes up to 1 GB).
build() {
    local preset="$1" jobs memory
    shift
    jobs="$(nproc)"
    memory="$(awk '/^MemAvailable/ {print int($2 / 1048576)}' /proc/meminfo)"
    if [ "$memory" -lt "$jobs" ]; then jobs=$((memory > 0 ? memory : 1)); fi
    quietly "build of $preset" cmake --build "$root/build/$preset" --parallel "$jobs" \
        ${1:+--target "$@"}
}

# Labels whose tests may run again: what they judge is no execution at a broker. Of those, none whose
# name speaks of loss, doubles or kills: moments and seeds are chance, and the outcome is not.
may_run_again='tidy|bench|ops|inspect|explain|market|sqlite|clickhouse|postgres|redis'
never_again='Lose|Loss|Lost|Doubl|Once|Again|Kill|Crash|Rtss|Fence|Restart|Stop|Owner|Upgrade'
a_fault_whenever='ERROR: AddressSanitizer|WARNING: ThreadSanitizer|runtime error:|LeakSanitizer'

# Labels whose tests say in a line what went through them (tests/covers.h). They are hundreds, and so
# said only to who chose among the tests.
choosing=
counting_briefly='scenarios|risk|fix|mt5|mt5-ticks|ticks|terminals'

# The names in what `ctest -N` prints.
names_of_tests() { sed -n 's/^ *Test *#[0-9]*: //p'; }

# What those tests counted whose worth is in what they covered: interleavings, instructions,
# corruptions, kills, recorded files. From ctest's log of the run just done, without GoogleTest's own lines.
# say_covered NAMES: one a line; of one that begins with = only its lines "covers: ...".
say_covered() {
    local log=Testing/Temporary/LastTest.log
    [ -f "$log" ] || return 0
    awk 'NR == FNR { brief = sub(/^=/, ""); wanted[$0] = brief ? 2 : 1; next }
        /^[0-9]+\/[0-9]+ Test: / { name = $0; sub(/^[^:]*: /, "", name); out = 0 }
        /^Output:$/ { out = name in wanted ? wanted[name] : 0; said = 0; next }
        /^<end of output>$/ { out = 0 }
        !out || /^ *$|^-+$|^ *\[|^Note: Google Test|^Running main/ { next }
        out == 2 && !/^covers:/ { next }
        !said { print name; said = 1 }
        { print "    " $0 }' - "$log" <<<"$1" >&2
}

# Who did not run and why, by the test's own words in the log of the run just done: ctest names them and
# keeps the reason to itself.
say_skipped() {
    local log=Testing/Temporary/LastTest.log skipped
    [ -f "$log" ] || return 0
    skipped="$(awk '
        /^[0-9]+\/[0-9]+ Test: / { name = $0; sub(/^[^:]*: /, "", name); on = 0 }
        /: Skipped$/ { on = 1; why = ""; next }
        !on && /^SKIPPED: / { print "    " name ": " $0 }  # a script
        on && /^\[  SKIPPED \]/ { print "    " name ": " why; on = 0 }
        /^<end of output>$/ { on = 0 }
        on && !/^ *$/ { why = why (why == "" ? "" : " ") $0 }' "$log")"
    if [ -n "$skipped" ]; then say "NOT TESTED HERE:" "
$skipped"; fi
}

# What a test says when chance did not give it what it needs (tests/not_proven.h).
not_proven='NOT PROVEN: '

# why_failed LOG NAMES: of each of these failed tests what its own output in ctest's LOG says of the
# failure: each line with a failure or an error and the 10 after it, then how it ends; 60 lines at
# most. Of the first 10 tests.
why_failed() {
    [ -s "$1" ] || return 0
    say "WHY:"
    awk -v most=60 -v ends=12 -v tests=10 'NR == FNR { if ($0 != "") wanted[$0] = 1; next }
        /^[0-9]+\/[0-9]+ Test: / { name = $0; sub(/^[^:]*: /, "", name); on = 0 }
        /^Output:$/ && !on && name in wanted { on = ++told <= tests; n = chosen = after = 0; next }
        /^<end of output>$/ && on {
            on = 0
            print name
            for (i = 1; i <= n; ++i) {
                if (!(i in pick) && i <= n - ends) { gap = 1; continue }
                if (gap) print "    ..."
                gap = 0
                print "    " line[i]
            }
            split("", pick)
        }
        !on { next }
        { line[++n] = $0 }
        /: Failure$|[Ee]rror: |Assertion|Sanitizer|^FAIL/ { after = 11 }
        after > 0 && chosen < most - ends { pick[n] = 1; ++chosen }
        after > 0 { --after }
        END { if (told > tests) print "and " (told - tests) " more" }' - "$1" <<<"$2" >&2
}

# Of these failed tests those that failed for nothing but a precondition that chance did not give:
# which ran to their own end, where each failure says so itself.
only_not_proven() {
    [ -s "$1" ] || return 0
    awk -v mark="$not_proven" 'NR == FNR { wanted[$0] = 1; next }
        /^[0-9]+\/[0-9]+ Test: / { name = $0; sub(/^[^:]*: /, "", name); on = 0 }
        # Once a record: a test may print such a line itself, behind a claim that failed.
        /^Output:$/ && !on && name in wanted { on = 1; failures = excused = whole = at = 0; next }
        /^<end of output>$/ && on {
            on = 0
            ended = failures > 0 && failures == excused && whole
            next
        }
        /^Test Failed\.$/ && ended { print name }
        /^Test (Failed|Passed|timed out)/ { ended = 0 }
        !on { next }
        # GoogleTest: where, "Failed", and the message; each begins a line.
        at == 2 && index($0, mark) == 1 { ++excused }
        { at = at == 1 && $0 == "Failed" ? 2 : 0 }
        /: Failure$/ { ++failures; at = 1 }
        /^ *1 FAILED TEST$/ { whole = 1 }' - "$1" <<<"$2"
}

# run_tests RETRY OPTION...: ctest in the current folder. With RETRY set, what failed runs twice more,
# alone; both must pass. A machine that stalls for seconds fails a test now and then; a fault in the
# code fails it again, and either way the log names it. Says last why, of what failed.
run_tests() {
    local retry="$1" counting status=0 failed log again=
    shift
    # Before the run: asking ctest for names writes over the log of the last one.
    counting="$(ctest -N -L '^(model|instruction-kill|attach-fuzz|chaos|demo)$' | names_of_tests)"
    # Before the others: a test of both says all.
    if [ -n "$choosing" ]; then
        counting="$(ctest -N -L "^($counting_briefly)\$" | names_of_tests | sed 's/^/=/')
$counting"
    fi
    rm -f Testing/Temporary/LastTestsFailed.log
    if ctest --parallel 3 --output-on-failure --no-tests=error "$@"; then
        say_covered "$counting"
        say_skipped
        return 0
    fi
    say_skipped
    failed="$(sed 's/^[0-9]*://' Testing/Temporary/LastTestsFailed.log 2>/dev/null || true)"
    if [ -z "$failed" ]; then return 8; fi
    # Of this run: the next ctest writes over it.
    log="$(mktemp)"
    cat Testing/Temporary/LastTest.log >"$log" 2>/dev/null || true
    if [ -z "$retry" ]; then status=8; else run_failed_again || status=8; fi
    why_failed "$log" "$failed"
    if [ -n "$again" ] && [ "$status" -ne 0 ]; then
        say "Of the runs after it:"
        why_failed Testing/Temporary/LastTest.log "$failed"
    fi
    rm -f "$log"
    return "$status"
}

# Of run_tests, whose `failed` and `log` it reads; sets its `again` once it runs something.
run_failed_again() {
    local names allowed unproven
    if grep -qsE "$a_fault_whenever" "$log"; then
        say "A sanitizer found something; nothing is run again."
        return 8
    fi
    # Never what judges safety: a run that lost or doubled something is not made good by another.
    # All names first: under pipefail a pipe into grep -q fails when it finds one early, because
    # whoever still writes into it is killed.
    allowed="$(ctest -N -L "^($may_run_again)\$" | names_of_tests |
        { grep -vE "$never_again" || true; })" || return 8
    # But whoever says himself that nothing was shown has judged nothing yet.
    unproven="$(only_not_proven "$log" "$failed")"
    if [ -n "$unproven" ]; then say "Proved nothing, by their own words:" "$unproven"; fi
    if grep -vqxF -f <(printf '%s\n' "$allowed" "$unproven") <<<"$failed"; then
        say "A test of safety failed (any but: $may_run_again); it is not run again."
        return 8
    fi
    if [ "$(wc -l <<<"$failed")" -gt 3 ]; then say "More than three tests failed."; return 8; fi
    say "Failed, and run again twice, alone:" "$failed"
    # By name: the numbers of --rerun-failed are those of a run without a choice of labels.
    names="$(sed 's/[][\.*^$()+?{}|]/\\&/g' <<<"$failed" | paste -sd'|')"
    again=1
    ctest -R "^($names)\$" --repeat until-fail:2 --output-on-failure --no-tests=error \
        --timeout 1800 || return 8
    say "FLAKY (failed once, then passed twice):" "$failed"
}
