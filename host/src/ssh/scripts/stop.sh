# Ends a command and all that it started, and answers when they are dead.
#
# Standard input: a line `identity nonce why grace`, the grace in tenths of a second.
umask 077
export LC_ALL=C
say() { printf '%s %s\n' "$nonce" "$*" >&2; }
IFS=' ' read -r id nonce why grace || exit 1
case $id in ''|*[!a-z0-9_-]*) say refused "\`$id\` is no receipt"; exit 0 ;; esac
while read -r key uid _; do [ "$key" = Uid: ] && break; done < /proc/self/status
if [ "$uid" = 0 ]; then root=/var/lib/windlass/receipts; else root=$HOME/.windlass/receipts; fi
dir=$root/$id
mkdir -p "$root"
# Not there yet: this directory is the guard, so that it never starts.
mkdir "$dir" 2>/dev/null && {
    read -r boot < /proc/sys/kernel/random/boot_id
    echo "$boot" > "$dir/boot"
}
[ -s "$dir/exit" ] && { say stopped; exit 0; }
( set -C; echo "$why" > "$dir/stopped" ) 2>/dev/null
[ -d "$dir" ] && [ -e "$dir/stopped" ] || { say refused "cannot write to $dir"; exit 0; }
# One that is about to begin does not: its start is taken away.
[ -e "$dir/done" ] || mkdir "$dir/going" 2>/dev/null

tries=0
while [ -e "$dir/done" ] && [ ! -s "$dir/pid" ] && [ $tries -lt 20 ]; do
    sleep 0.1 || sleep 1
    tries=$((tries + 1))
done
leader=none
[ -s "$dir/pid" ] && read -r leader start < "$dir/pid"
# What it was to read may be secret: open by now, or never.
rm -f "$dir/stdin"
read -r boot < /proc/sys/kernel/random/boot_id
read -r then < "$dir/boot"
if [ "$boot" != "$then" ]; then leader=none; fi

# Its session, unless that number is somebody else's by now, and whoever carries its mark.
members() {
    session=$leader
    found=
    if [ "$leader" != none ] && read -r stat 2>/dev/null < "/proc/$leader/stat"; then
        set -- ${stat##*) }
        [ "${20}" = "$start" ] || session=none
    fi
    for file in /proc/[0-9]*/stat; do
        read -r stat 2>/dev/null < "$file" || continue
        set -- ${stat##*) }
        [ "$4" = "$session" ] && [ "$1" != Z ] || continue
        file=${file#/proc/}
        found="$found ${file%/stat}"
    done
    for file in $(grep -laF "WINDLASS_RECEIPT=$id." /proc/[0-9]*/environ 2>/dev/null); do
        file=${file#/proc/}
        file=${file%/environ}
        read -r stat 2>/dev/null < "/proc/$file/stat" || continue
        set -- ${stat##*) }
        [ "$1" != Z ] && found="$found $file"
    done
    [ -n "$found" ]
}
if members; then kill -TERM $found 2>/dev/null; fi
tries=0
while members; do
    [ $tries -lt "$grace" ] || kill -KILL $found 2>/dev/null
    if [ $tries -gt $((grace + 50)) ]; then
        say alive $found
        exit 0
    fi
    sleep 0.1 || sleep 1
    tries=$((tries + 1))
done
say stopped
