# Runs the command of a receipt, keeps what it writes, and notes its end.
# Arguments: the receipt's directory, its identity, how many bytes of each stream are kept, and the
# size of the command's input.
dir=$1 id=$2 kept=$3 size=$4
export LC_ALL=C
# Whoever took its input away holds it for one that was never started.
[ "$size" -eq 0 ] || [ -e "$dir/stdin" ] || exit
# Writes what comes at once, with `dd` since it does not wait for more; beyond the limit it only
# drains, so that the command neither stops nor fills the disk.
keep() {
    # Whoever holds this pipe open seems to be the supervisor.
    exec 9>&-
    while came=$(dd bs=4096 count=64 2>&1 >> "$1"); do
        # Only the count: before it may stand a warning that reads were short, as they are.
        came=${came%% records in*}
        came=${came##*[!0-9+]}
        [ $((${came%+*} + ${came#*+})) -eq 64 ] || return
        [ "$(wc -c < "$1")" -lt "$kept" ] || break
    done
    exec cat > /dev/null
}
keep "$dir/stdout" < "$dir/out" 2>/dev/null &
first=$!
keep "$dir/stderr" < "$dir/err" 2>/dev/null &
second=$!
read -r up _ < /proc/uptime
began=${up%.*}${up#*.}
echo "$began" > "$dir/began"

# It notes its own process group before it becomes the command. The mark in its environment finds
# also those of its children that leave the group. Its input is unlinked once it is open.
input=/dev/null
[ "$size" -eq 0 ] || input=$dir/stdin
WINDLASS_RECEIPT=$id. setsid sh -c '
    read -r stat < /proc/$$/stat
    set -- ${stat##*) }
    echo "$$ ${20}" > "$0/pid"
    [ ! -e "$0/stdin" ] || rm -f "$0/stdin"
    # Who stops it says so first and looks for that number then: one of both sees the other.
    [ ! -e "$0/stopped" ] || exit 143
    unset LC_ALL
    exec sh "$0/command"
' "$dir" < $input > "$dir/out" 2> "$dir/err" 9>&- &
command=$!
wait $command
code=$?
read -r up _ < /proc/uptime
ended=${up%.*}${up#*.}

# A daemon that it left behind may hold the pipes for ever: its last words get one second.
trap : USR1
( exec 9>&-; sleep 1 & nap=$!; trap "kill $nap; exit" TERM; wait $nap; kill -USR1 $$ ) 2>/dev/null &
watch=$!
wait $first $second
kill $watch 2>/dev/null
# All who wait are woken by the end of this process, when the line is written.
echo "$code $(((ended - began) * 10))" > "$dir/exit"
