# Says why the command did not begin.
fail() {
    echo "windlass: $*" >&2
    exit 125
}
# The newest running container of the service on this machine; waits for one.
find_container() {
    wl_waited=0
    while :; do
        wl_container=$(docker ps -q --no-trunc --filter status=running \
            --filter "label=com.docker.swarm.service.name=${wl_stack}_$wl_service" 2>&1) \
            || fail "Docker does not tell of containers: $wl_container"
        wl_container=$(printf '%s\n' "$wl_container" | head -n 1)
        [ -z "$wl_container" ] || return 0
        [ "$wl_waited" -lt "$wl_wait" ] || fail "no container of ${wl_stack}_$wl_service runs on this server after $wl_wait s: look at \`docker service ps ${wl_stack}_$wl_service\`"
        wl_waited=$((wl_waited + 1))
        sleep 1
    done
}
