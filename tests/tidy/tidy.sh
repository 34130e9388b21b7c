#!/bin/sh
# Checks the rules of layout that a compiler does not: the include graph, what core/ may not use,
# headers that compile alone, line and file lengths, the format of .clang-format.
#
#     tidy.sh ROOT [CXX]      prints every offence with its mend; status 1 if there is any
#
# Without CXX headers are not compiled. Without clang-format-19, which tools/setup installs, the
# format is not looked at, and that is said.
set -u
root=${1:?usage: tidy.sh ROOT [CXX]}
cxx=${2:-}
cd "$root" || exit 2
offences=$(mktemp) || exit 2
trap 'rm -f "$offences"' EXIT

say() { printf '%s\n' "$1" >>"$offences"; }

sources() { find "$@"  -name '*.h' -o -name '*.cpp' 2>/dev/null | sort; }

# -- include graph: what each folder may include of ours ------------------------------------------
allowed() {
    case $1 in
        core) echo 'core' ;;
        ring) echo 'core ring' ;;
        # The segment's layout has the rings' control blocks in it: shm stands on ring, not beside it.
        shm) echo 'core ring shm' ;;
        persist) echo 'core shm ring persist' ;;
        gateway) echo 'core shm ring gateway' ;;
        tools) echo 'core shm ring persist gateway tools' ;;
        tests | bench) echo 'core shm ring persist gateway tools tests bench' ;;
    esac
}
for folder in core shm ring persist gateway tools bench tests; do
    [ -d "$folder" ] || continue
    may=" $(allowed "$folder") "
    for f in $(sources "$folder"); do
        sed -n 's/^[[:space:]]*#[[:space:]]*include "\([a-z]*\)\/.*/\1/p' "$f" | sort -u |
            while read -r to; do
                case " core shm ring persist gateway tools tests bench " in
                    *" $to "*) ;;
                    *) continue ;;
                esac
                case $may in
                    *" $to "*) ;;
                    *) say "$f: includes $to/, but $folder/ may include only:$may" ;;
                esac
            done
    done
done

# -- core is pure ------------------------------------------------------------------------------------
# assert.cpp prints before it dies; crash_point.* exists to kill this process and reads its name
# from the environment. Neither is reached by a replay.
code_of() {  # the text without comments and string literals
    sed -e 's/"\([^"\\]\|\\.\)*"/""/g' -e 's://.*$::' "$1"
}
foreign_includes() {  # LINE:NAME of each include of what is not core/; one by macro as that macro
    grep -nE '^[[:space:]]*#[[:space:]]*(include|import)' "$1" |
        sed -E 's/^([0-9]+):[[:space:]]*#[[:space:]]*[a-z_]*[[:space:]]*[<"]?([^>"]*).*$/\1:\2/' |
        grep -vE '^[0-9]+:core/'
}
ban() {  # FILE PATTERN WHY
    code_of "$1" | grep -nE "$2" | while IFS=: read -r line rest; do
        say "$1:$line: $3:$rest"
    done
}
# What core includes, of what is not ours: headers of types, and of functions of their arguments
# alone. What else there is can read a clock, a file or an environment; so what is not here is out.
core_headers='algorithm array bit compare cstddef cstdint cstring limits memory span string_view
    type_traits utility variant vector'
for f in $(sources core); do
    of_a_process=
    more=
    case $f in
        core/assert.cpp) of_a_process=1 more='cstdio cstdlib' ;;
        core/crash_point.cpp) of_a_process=1 more='csignal cstdlib' ;;
        core/crash_point.h) of_a_process=1 ;;
        core/crc32c.h) more='isa-l/crc.h' ;;  # the instruction, or a table
    esac
    foreign_includes "$f" | while IFS=: read -r line name; do
        case " $(echo $core_headers $more) " in
            *" $name "*) ;;
            *) say "$f:$line: core includes core/ and these alone: $(echo $core_headers $more); not $name" ;;
        esac
    done
    [ -z "$of_a_process" ] || continue
    ban "$f" '(system|steady|high_resolution)_clock|clock_gettime|gettimeofday|(^|[^_[:alnum:].>])time\((nullptr|NULL|0|&)' \
        'core has no clock: time comes in the record'
    ban "$f" '(^|[^_[:alnum:]])s?rand(om)?\(|random_device|mt19937' \
        'core has no randomness'
    ban "$f" '(^|[^_[:alnum:]])(f|s|sn)?printf\(|std::c(out|err)|fopen\(|getenv\(' 'core has no I/O'
    ban "$f" 'unordered_(map|set)|std::hash' 'core decides nothing by hash order: use IndexMap'
    ban "$f" '(^|[^_[:alnum:]])(float|double)([^_[:alnum:]]|$)' \
        'core has no floating point: scaled integers (types.h)'
    ban "$f" '(^|[^_[:alnum:]])(new|malloc|calloc|realloc)([[:space:](]|$)|std::string([^_]|$)|(push|emplace)_back\(|\.resize\(' \
        'core does not allocate after construction'
    case $f in
        core/engine.h | core/engine_state.cpp) ;;  # save() fills the image of a snapshot
        *) ban "$f" 'std::vector' 'core has fixed tables (pool.h), no growing ones' ;;
    esac
    ban "$f" '(^|[^_[:alnum:]])(throw|catch)([^_[:alnum:]]|$)' 'pipeline code neither throws nor catches'
done

# -- size and leftovers -------------------------------------------------------------------------------
for folder in core shm ring persist gateway tools tests bench; do
    [ -d "$folder" ] || continue
    for f in $(sources "$folder"); do
        LC_ALL=C.UTF-8 grep -nE '^.{101,}' "$f" | while IFS=: read -r line rest; do
            say "$f:$line: over 100 characters:$rest"
        done
        lines=$(wc -l <"$f")
        [ "$lines" -le 600 ] || say "$f: $lines lines; 600 is the limit, split it by subject"
        grep -nE '(^|[^_[:alnum:]])(TO''DO|FIX''ME)' "$f" | while IFS=: read -r line rest; do
            say "$f:$line: finish it or write an issue:$rest"
        done
    done
done

# -- headers compile alone ----------------------------------------------------------------------------
# One that its own .cpp includes first is compiled alone by every build.
if [ -n "$cxx" ]; then
    export cxx
    for folder in core shm ring persist gateway; do
        [ -d "$folder" ] && find "$folder" -name '*.h'
    done | while read -r f; do
        first="$(grep -m1 '^#include' "${f%.h}.cpp" 2>/dev/null)"
        [ "$first" = "#include \"$f\"" ] || printf '%s\n' "$f"
    done | xargs -P 2 -I{} sh -c 'printf "#include \"%s\"\n" {} |
            "$cxx" -std=c++20 -fsyntax-only -I. -x c++ - >/dev/null 2>&1 || echo {}' |
        while read -r f; do
            say "$f: does not compile alone; include what it uses"
        done
fi

# -- the example that README calls a whole strategy in under 60 lines ------------------------------------
example=tools/examples/strategy.cpp
[ ! -f "$example" ] || [ "$(wc -l <"$example")" -lt 60 ] ||
    say "$example: 60 lines or more, and README says under 60"

# -- format -------------------------------------------------------------------------------------------
if command -v clang-format-19 >/dev/null; then
    sources core shm ring persist gateway tools tests bench |
        xargs -P 2 -n 40 clang-format-19 --dry-run 2>&1 |
        sed -n 's/^\([^:]*:[0-9]*\):.*\[-Wclang-format-violations\]$/\1/p' | while read -r place; do
            say "$place: not as .clang-format has it; mend: clang-format-19 -i ${place%%:*}"
        done
else
    echo 'tidy: no clang-format-19: the format was not looked at'
fi

if [ -s "$offences" ]; then
    sort -u "$offences"
    exit 1
fi
echo "tidy: clean"
