apt_lock_seconds=600
# Runs apt-get, waiting for whoever holds its locks. Its words go to the log and to $apt_words.
apt() {
    apt_words=$(mktemp) || fail "no temporary file can be made: is the disk full?"
    apt_waited=0
    while :; do
        { { apt-get -q -o "DPkg::Lock::Timeout=$apt_lock_seconds" -o Dpkg::Use-Pty=0 \
            -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold \
            -o Acquire::Retries=3 -o Acquire::http::Timeout=30 "$@" 2>&1 3>&-; echo $? >&3; } \
            | tee "$apt_words" >&4; } 3> "$apt_words.code" 4>&1
        read -r apt_code < "$apt_words.code"
        if [ "$apt_code" != 0 ] && grep -qE 'Could not get lock|Unable to lock' "$apt_words" \
            && [ "$apt_waited" -lt "$apt_lock_seconds" ]; then
            [ "$apt_waited" -gt 0 ] || echo "another program holds apt's lock: waiting for it"
            sleep 5
            apt_waited=$((apt_waited + 5))
            continue
        fi
        rm -f "$apt_words.code"
        return "$apt_code"
    done
}
# Ends with the sentence that fits what apt-get said.
apt_failed() {
    if grep -q 'No space left on device' "$apt_words"; then
        fail "$1: the disk is full; free some space and run this again"
    elif grep -qE 'Could not get lock|Unable to lock' "$apt_words"; then
        fail "$1: another program held apt's lock for $((apt_lock_seconds / 60)) minutes; end it and run this again"
    elif grep -qE '^(E|Err|W).*(Could not resolve|Failed to fetch|Could not connect|404 |Hash Sum|Connection (failed|timed out)|is not signed)' "$apt_words"; then
        fail "$1: the package mirror is broken or out of reach ($(grep -E '^(E|Err|W)[: ]' "$apt_words" | head -n 1)); check /etc/apt/sources.list and the network, and run this again"
    fi
    apt_last=$(grep -E '^(E:|dpkg: error)' "$apt_words" | tail -n 1)
    fail "$1: apt-get ended with $apt_code: ${apt_last:-$(tail -n 1 "$apt_words")}"
}
# Finishes what an earlier apt-get, killed in the middle, left half done.
apt_mend() {
    [ -n "$(dpkg --audit 2>/dev/null)" ] || return 0
    echo "finishing packages that were left half installed"
    dpkg --force-confdef --force-confold --configure -a < /dev/null \
        || fail "packages were left half installed and cannot be finished: run \`dpkg --configure -a\` on the server and look at what it says"
}
is_installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }
