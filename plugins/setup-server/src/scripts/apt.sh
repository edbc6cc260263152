apt_lock_seconds=600
# Runs a command that needs apt's or dpkg's locks, waiting for whoever holds them: on a fresh machine
# that is often the first run of its own updates. Its words go to the log and to $apt_words.
apt_patiently() {
    apt_words=$(mktemp) || fail "no temporary file can be made in /tmp: is it full?"
    apt_waited=0
    while :; do
        { { "$@" 2>&1 3>&- < /dev/null; echo $? >&3; } | tee "$apt_words" | apt_told >&4; } \
            3> "$apt_words.code" 4>&1
        read -r apt_code < "$apt_words.code"
        rm -f "$apt_words.code"
        if [ "$apt_code" = 0 ] || ! grep -qE "$apt_locked" "$apt_words"; then return "$apt_code"; fi
        apt_holder
        if [ "$apt_waited" -ge "$apt_lock_seconds" ]; then return "$apt_code"; fi
        [ $((apt_waited % 60)) -gt 0 ] || echo "$apt_who holds apt's lock: waiting for it ($apt_waited of at most $apt_lock_seconds s)"
        sleep 2
        apt_waited=$((apt_waited + 2))
    done
}
apt_locked='Could not get lock|Unable to lock|Unable to acquire the dpkg frontend lock|was locked by another process'
# That a lock is held is told in words of our own.
apt_told() { grep --line-buffered -vE "$apt_locked|Be aware that removing the lock file|removing the lock file is always wrong"; }
# Sets $apt_who to the program that holds the lock, as far as the refusal tells.
apt_holder() {
    apt_pid=$(sed -nE 's/.*(held by process|another process with pid) ([0-9]+).*/\2/p' "$apt_words" | head -n 1)
    apt_who="another program"
    [ -z "$apt_pid" ] || apt_who="\`$(cat "/proc/$apt_pid/comm" 2>/dev/null || echo unknown)\` (process $apt_pid)"
}
apt() {
    apt_patiently apt-get -q -o DPkg::Lock::Timeout=0 -o Dpkg::Use-Pty=0 \
        -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold \
        -o Acquire::Retries=3 -o Acquire::http::Timeout=30 "$@"
}
# Ends with the sentence that fits what was said.
apt_failed() {
    if grep -qE 'No space left on device|enough free space' "$apt_words"; then
        apt_full=$(full_disks)
        fail "$1: the disk is full at ${apt_full:-one of its mount points}; free some space there and run this again"
    elif grep -qE "$apt_locked" "$apt_words"; then
        fail "$1: $apt_who held apt's lock for $apt_waited s; wait until it has ended, or end it with \`kill ${apt_pid:-…}\` on the server, and run this again"
    elif grep -qE '^(E|Err|W).*(Could not resolve|Failed to fetch|Could not connect|404 |Hash Sum|Connection (failed|timed out)|is not signed)' "$apt_words"; then
        fail "$1: the package mirror is broken or out of reach ($(grep -E '^(E|Err|W)[: ]' "$apt_words" | head -n 1)); check /etc/apt/sources.list and the network, and run this again"
    fi
    apt_last=$(grep -E '^(E:|dpkg: error)' "$apt_words" | tail -n 1)
    fail "$1: ${apt_last:-$(tail -n 1 "$apt_words")} (exit code $apt_code)"
}
# Finishes what an earlier apt-get, killed in the middle or cut off by a restart, left half done.
# One that is still at work holds the lock, and is waited for.
apt_mend() {
    apt_half=$(dpkg --audit 2>/dev/null)
    set -- /var/lib/dpkg/updates/[0-9]*
    [ -n "$apt_half" ] || [ -e "$1" ] || return 0
    echo "finishing packages that were left half installed"
    apt_patiently dpkg --force-confdef --force-confold --configure -a \
        || apt_failed "packages were left half installed, and \`dpkg --configure -a\` cannot finish them"
    [ -z "$(dpkg --audit 2>/dev/null)" ] || apt install -y --fix-broken \
        || apt_failed "packages were left half installed, and \`apt-get install --fix-broken\` cannot finish them"
}
is_installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }
