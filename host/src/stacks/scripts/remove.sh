# Removes a stack, and waits until nothing of it is left.
wl_label=com.docker.stack.namespace=$wl_stack
# Right after another removal, such as Portainer's, what is on its way out already counts as an error.
wl_tries=0
until wl_words=$(docker stack rm "$wl_stack" 2>&1); do
    case $wl_words in *"othing found in stack"*) break ;; esac
    away "$wl_words" && continue
    wl_tries=$((wl_tries + 1))
    [ $wl_tries -lt 15 ] || fail "the stack $wl_stack cannot be removed: $wl_words"
    sleep 1
done
# An engine that does not answer does not say that nothing is left.
list() {
    until wl_list=$(docker "$@" -q --filter "label=$wl_label" 2> /dev/null); do
        wl_words=$(docker "$@" -q --filter "label=$wl_label" 2>&1) || away "$wl_words" \
            || fail "Docker does not tell what is left of $wl_stack: $wl_words"
    done
}
left() {
    list ps -a
    [ -n "$wl_list" ] || list network ls
    [ -n "$wl_list" ]
}
wl_tries=0
while left; do
    wl_tries=$((wl_tries + 1))
    [ $wl_tries -le 120 ] || fail "containers or networks of $wl_stack are left after two minutes: look at \`docker ps -a\` on the server"
    [ $((wl_tries % 20)) != 0 ] || docker stack rm "$wl_stack" > /dev/null 2>&1
    sleep 1
done
if [ "$wl_delete_data" = yes ]; then
    list volume ls
    for wl_volume in $wl_list; do
        wl_words=$(docker volume rm "$wl_volume" 2>&1) || fail "the volume $wl_volume cannot be removed: $wl_words"
    done
fi
rm -f "$wl_kept/$wl_stack" "$wl_kept/$wl_stack.portainer"
