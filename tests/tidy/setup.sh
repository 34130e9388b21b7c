#!/usr/bin/env bash
# Goal: tools/setup leaves the host's rule on starting services as it found it, also after a run
# that was killed; a second run does nothing; it works with sudo, and says so where it cannot.
# Method: the script itself, with stand-ins for dpkg-query, apt-get, id and sudo.
set -u
setup="${1:?usage: setup.sh SETUP}"
tree="$(mktemp -d)" || exit 2
trap 'rm -rf "${tree:?}"' EXIT
mkdir "$tree/bin" || exit 2
export MILLRACE_POLICY_RC_D="$tree/policy-rc.d" TREE="$tree"
policy="$MILLRACE_POLICY_RC_D"
failures=0

cat >"$tree/bin/dpkg-query" <<'EOF'
#!/bin/sh
[ -e "$TREE/installed" ] && printf installed
EOF
printf '#!/bin/sh\necho 0\n' >"$tree/bin/id"
# What the packages' scripts would be told is noted; the files `kill` and `fail` say how it ends.
cat >"$tree/bin/apt-get" <<'EOF'
#!/usr/bin/env bash
case " $* " in *' install '*) ;; *) exit 0 ;; esac
"$MILLRACE_POLICY_RC_D" redis-server start
echo $? >"$TREE/told"
if [ -e "$TREE/kill" ]; then
    kill -9 "$(cat "$TREE/setup.pid")"
    exit 1
fi
[ -e "$TREE/fail" ] && exit 100
touch "$TREE/installed"
EOF
chmod +x "$tree"/bin/*

bad() {
    echo "$*"
    failures=$((failures + 1))
}
# run WHAT: the script as root on a host where everything is missing.
run() {
    rm -f "$tree/installed" "$tree/told"
    PATH="$tree/bin:$PATH" bash -c 'echo $$ >"$TREE/setup.pid"; exec bash "$1"' run "$setup" \
        >"$tree/out" 2>&1
    status=$?
    [ "$(cat "$tree/told" 2>/dev/null)" = 101 ] || bad "$1: services were not forbidden"
}
# expect WHAT CONTENT: the host's own rule; none if CONTENT is empty.
expect() {
    if [ "$(cat "$policy" 2>/dev/null)" != "$2" ] || [ -e "$policy.before-millrace" ]; then
        bad "$1: left behind: $(cat "$policy"* 2>&1)"
    fi
}
own='#!/bin/sh
exit 0 # the host allows them'
for before in '' "$own"; do
    what="without a rule"
    rm -f "$policy"*
    if [ -n "$before" ]; then
        what="with a rule of the host's"
        printf '%s\n' "$before" >"$policy"
        chmod 755 "$policy"
    fi
    run "$what"
    [ "$status" -eq 0 ] || bad "$what: exit status $status"
    expect "$what" "$before"
    touch "$tree/fail"
    run "$what, apt-get fails"
    [ "$status" -ne 0 ] || bad "$what: a failure of apt-get is called a success"
    rm "$tree/fail"
    expect "$what, after apt-get failed" "$before"
    touch "$tree/kill"
    run "$what, killed"
    run "$what, killed again"
    rm "$tree/kill"
    run "$what, after the deaths"
    expect "$what, after the deaths" "$before"
done
servers='redis-server redis-sentinel postgresql clickhouse-server prometheus'
grep -q "systemctl disable $servers" "$tree/out" ||
    bad "it does not say which servers start at the next boot: $servers"
rm -f "$policy"* "$tree/told"
PATH="$tree/bin:$PATH" bash "$setup" >"$tree/out" 2>&1 || bad "second run: exit status $?"
grep -q 'nothing to do' "$tree/out" || bad "second run: $(cat "$tree/out")"
[ ! -e "$tree/told" ] || bad "second run: it has installed again"

# Not root: by sudo, which asks for no password here; then without one that would let us.
printf '#!/bin/sh\necho 1000\n' >"$tree/bin/id"
printf '#!/bin/sh\n[ "$1" = -n ] && shift\necho "$1" >>"$TREE/sudone"\nexec "$@"\n' >"$tree/bin/sudo"
chmod +x "$tree/bin/sudo"
run "with sudo"
[ "$status" -eq 0 ] || bad "with sudo: exit status $status: $(cat "$tree/out")"
for word in tee env rm; do # the rule, apt-get, and the rule's end
    grep -qx "$word" "$tree/sudone" || bad "with sudo: $word was not run by it"
done
expect "with sudo" ''
printf '#!/bin/sh\nexit 1\n' >"$tree/bin/sudo"
rm -f "$tree/installed"
PATH="$tree/bin:$PATH" bash "$setup" >"$tree/out" 2>&1 </dev/null && bad "without rights: success"
grep -q 'are missing and this user may not install them: .*; run .* as root' "$tree/out" ||
    bad "without rights: $(cat "$tree/out")"
[ "$failures" -eq 0 ] && echo "the host's rule stays its own"
exit "$failures"
