# Makes a stack be what a Compose file says.
#
# Standard input: a line with a number, so many lines `NAME=base64`, then the Compose file. Nothing
# of it is on a command line or stays on the disk: there may be secrets in it.
IFS= read -r wl_count || fail "the stack's file did not arrive whole"
while [ "$wl_count" -gt 0 ]; do
    IFS= read -r wl_line || fail "the stack's variables did not arrive whole"
    # The x keeps line ends that the shell would cut off.
    wl_value=$(printf '%s' "${wl_line#*=}" | base64 -d && echo x) \
        || fail "the stack's variables did not arrive whole"
    export "${wl_line%%=*}=${wl_value%x}"
    wl_count=$((wl_count - 1))
done
wl_compose=$(cat)
wl_tries=0
until wl_words=$(printf '%s\n' "$wl_compose" | docker stack deploy --prune -c - "$wl_stack" 2>&1); do
    wl_tries=$((wl_tries + 1))
    case $wl_words in
        *"update out of sequence"*) [ $wl_tries -lt 5 ] && sleep 1 && continue ;;
        *"not a swarm manager"*) fail "this server is no swarm's manager: set the server up first" ;;
    esac
    away "$wl_words" && continue
    fail "the stack $wl_stack cannot be deployed: $(printf '%s\n' "$wl_words" | tail -n 1)"
done
printf '%s\n' "$wl_words"
mkdir -p "$wl_kept" && printf '%s\n' "$wl_digest" > "$wl_kept/$wl_stack.new" \
    && mv "$wl_kept/$wl_stack.new" "$wl_kept/$wl_stack" \
    || fail "cannot write $wl_kept/$wl_stack: is the disk full?"
# It is no stack of Portainer's any more, if it ever was.
rm -f "$wl_kept/$wl_stack.portainer"
