# Waits until the engine takes commands, and then runs the others, one after another.
#
# Standard input: for each command what it reads, as a line of base64. Nothing of it is on a command
# line: there are passwords in it.
wl_number=0
while [ "$wl_number" -lt "$wl_count" ]; do
    IFS= read -r wl_line || fail "the commands' standard input did not arrive whole"
    eval "wl_input_$wl_number=\$wl_line"
    wl_number=$((wl_number + 1))
done
# Runs the command of this number. Answers what it said in wl_words.
try() {
    eval "wl_line=\$wl_input_$1"
    wl_words=$(printf '%s' "$wl_line" | base64 -d | "wl_command_$1" 2>&1)
}
last_line() { printf '%s\n' "$wl_words" | grep -v '^[[:space:]]*$' | tail -n 1; }

find_container
wl_tries=0
until try 0; do
    wl_tries=$((wl_tries + 1))
    [ $wl_tries -lt "$wl_wait" ] || fail "$wl_stack takes no commands after $wl_wait tries: $(last_line)"
    [ $((wl_tries % 10)) != 1 ] || echo "waiting until $wl_stack takes commands: $(last_line)"
    sleep 1
    # It may be another one by now.
    find_container
done
wl_number=1
while [ "$wl_number" -lt "$wl_count" ]; do
    try "$wl_number"
    wl_code=$?
    wl_last=$(last_line)
    # As a word of its own, whatever stands around it.
    case " $(printf '%s' "$wl_last" | tr -c 'a-z0-9_' ' ') " in
        *" conflict "*) exit 3 ;;
    esac
    if [ $wl_code != 0 ]; then
        echo "failed: ${wl_last:-it said nothing}" >&2
        exit 1
    fi
    wl_number=$((wl_number + 1))
done
