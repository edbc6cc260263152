# Starts a command once, and follows it to its end. $0 is the supervisor's script.
#
# Standard input: a line `identity nonce seen_of_stdout seen_of_stderr kept stdin_size mode`, a line
# with the command in base64, then what the command reads. What the command wrote goes out as it is;
# a line that begins with the nonce, on standard error, is this script's own word to the host.
umask 077
export LC_ALL=C
say() { printf '%s %s\n' "$nonce" "$*" >&2; }
IFS=' ' read -r id nonce out err kept size mode || exit 1
IFS= read -r command || exit 1
refuse() { say refused "$*"; exit 0; }
case $id in ''|*[!a-z0-9_-]*) refuse "\`$id\` is no receipt" ;; esac
while read -r key uid _; do [ "$key" = Uid: ] && break; done < /proc/self/status
if [ "$uid" = 0 ]; then root=/var/lib/windlass/receipts; else root=$HOME/.windlass/receipts; fi
dir=$root/$id
# Why nothing can be written, where that can be seen.
why() {
    set -- $(df -Pk "$root" 2>/dev/null | tail -n 1)
    [ "${4:-64}" -ge 64 ] || echo ": the disk is full at $6; free some space there and try again"
}
# Nothing was started, and this call is the one that could have: the next may begin anew.
undo() { [ -e "$dir/stopped" ] || rm -rf "$dir"; }
here() { read -r boot < /proc/sys/kernel/random/boot_id; }

launch() {
    [ -d "$root" ] || mkdir -p "$root" || refuse "cannot make $root$(why)"
    stage=$root/.$id.$$
    if [ "$size" -gt 0 ]; then
        cat > "$stage" && [ "$(wc -c < "$stage")" -eq "$size" ] || {
            rm -f "$stage"
            refuse "the command's standard input did not arrive whole$(why)"
        }
    fi
    # The one guard: whoever makes the directory starts the command, and nobody else ever does.
    mkdir "$dir" 2>/dev/null || {
        rm -f "$stage"
        [ -d "$dir" ] || refuse "cannot make $dir$(why)"
        return
    }
    # It was held up on its way, and meanwhile done and forgotten.
    [ ! -e "$root/.over/$id" ] || {
        rm -rf "$dir" "$stage"
        refuse "its receipt was forgotten: nobody waits for it any more"
    }
    here
    printf '%s\n' "$boot" > "$dir/boot"
    base64 -d > "$dir/command" <<END || { undo; refuse "cannot write $dir/command$(why)"; }
$command
END
    if [ "$size" -gt 0 ]; then mv "$stage" "$dir/stdin"; fi
    : > "$dir/stdout"
    : > "$dir/stderr"
    # Else a power cut right after the start would lose the guard, and the command would run again.
    sync "$dir/boot" "$dir" 2>/dev/null || sync
    # The supervisor holds this pipe open while it lives, so that its end wakes all who wait. The
    # name appears when the pipe is held already.
    mkfifo "$dir/done.new" "$dir/out" "$dir/err" || { undo; refuse "cannot make pipes in $dir$(why)"; }
    exec 9<> "$dir/done.new"
    mv "$dir/done.new" "$dir/done"
    # Who came to stop it, or waited for it in vain, has taken the start away: it never began, and
    # the receipt says why.
    mkdir "$dir/going" 2>/dev/null || {
        rm -f "$dir/done"
        exec 9>&-
        return
    }
    setsid sh -c "$0" windlass "$dir" "$id" "$kept" "$size" < /dev/null > /dev/null 2>&1 &
    exec 7< "$dir/done" 9>&-
    held=yes
}

held=no
if [ ! -d "$dir" ]; then
    [ "$mode" = start ] || refuse "there is no receipt $id"
    launch
fi

# The sizes of what it wrote, where the host may not have all of it yet.
sizes() {
    o=- e=-
    if [ "${followed-}" = yes ]; then o=$(wc -c < "$dir/stdout") e=$(wc -c < "$dir/stderr"); fi
    stopped=-
    [ -e "$dir/stopped" ] && read -r stopped < "$dir/stopped"
}
age() {
    now=0 began=0
    [ -e "$dir/began" ] && read -r began < "$dir/began" || return
    read -r up _ < /proc/uptime
    now=${up%.*}${up#*.}
}
conclude() {
    # What it was to read may be secret; a start that was cut off leaves it.
    rm -f "$dir/stdin"
    sizes
    if [ -s "$dir/exit" ]; then
        read -r code took < "$dir/exit"
        say ended "$code" "$took" "$stopped" $o $e
    else
        age
        say lost "$1" $(((now - began) * 10)) "$stopped" $o $e
    fi
    exit 0
}
remainder() {
    [ -s "$dir/stdout" ] && tail -c +$((out + 1)) "$dir/stdout"
    [ -s "$dir/stderr" ] && tail -c +$((err + 1)) "$dir/stderr" >&2
}
alive() {
    [ -e "$dir/pid" ] || return 1
    read -r pid start < "$dir/pid"
    read -r stat 2>/dev/null < "/proc/$pid/stat" || return 1
    set -- ${stat##*) }
    [ "$1" != Z ] && [ "${20}" = "$start" ]
}

if [ $held = no ]; then
    tries=0
    # A start that was taken without a pipe to follow is one that was taken away.
    until [ -e "$dir/done" ] || [ -e "$dir/stopped" ] || [ -e "$dir/going" ] || [ $tries -ge 50 ]; do
        sleep 0.1 || sleep 1
        tries=$((tries + 1))
    done
    # Only who takes the start away knows that it never begins; else it has begun just now.
    if [ ! -e "$dir/done" ]; then
        mkdir "$dir/going" 2>/dev/null && conclude unstarted
        [ -e "$dir/done" ] || conclude unstarted
    fi
    # Opened for writing too, this cannot block; without the writing side, it ends with the last
    # supervisor, also if that is dead since long.
    exec 9<> "$dir/done"
    exec 7< "$dir/done" 9>&-
fi

if ! timeout 0.1 cat <&7 > /dev/null 2>&1; then
    age
    say running $(((now - began) * 10))
    brisk=
    tail -s 0.1 -c +1 /dev/null 2>/dev/null && brisk='-s 0.1'
    tail $brisk -c +$((out + 1)) -f "$dir/stdout" 7<&- &
    first=$!
    tail $brisk -c +$((err + 1)) -f "$dir/stderr" >&2 7<&- &
    second=$!
    cat <&7 > /dev/null
    # What they had not come to yet, the host asks for: it knows the sizes.
    kill $first $second
    wait
    followed=yes
fi
here
read -r then 2>/dev/null < "$dir/boot"
if [ ! -s "$dir/exit" ] && [ "$boot" = "$then" ]; then
    # Its supervisor was killed. It may run on, and nobody will learn its exit code.
    while alive; do sleep 1; done
fi
[ "${followed-}" = yes ] || remainder
[ "$boot" = "$then" ] || conclude reboot
conclude killed
