changed=no
wait_for_docker
state=$(docker info --format '{{.Swarm.LocalNodeState}} {{.Swarm.ControlAvailable}}' 2>&1) \
    || fail "Docker does not answer: $state"
case $state in
    "active true") ;;
    "active false") fail "this server is a worker of another swarm: take it out with \`docker swarm leave\`, and run this again" ;;
    "inactive "*)
        set -- --advertise-addr "$IPV4"
        # An address that the provider translates is not one of the machine's own.
        ip -4 -o addr show 2>/dev/null | grep -qF " $IPV4/" || set -- "$@" --listen-addr 0.0.0.0:2377
        words=$(docker swarm init "$@" 2>&1) || fail "the swarm cannot be made: $words"
        echo "this server is a swarm's manager, at $IPV4"
        changed=yes
        ;;
    *) fail "the swarm of this server is in a state that only a person can judge ($state): look at \`docker info\` there" ;;
esac
found=$(docker network inspect --format '{{.Driver}} {{.Attachable}}' "$NETWORK" 2>/dev/null)
case $found in
    "overlay true") ;;
    "")
        words=$(docker network create --driver overlay --attachable --label made-by=windlass "$NETWORK" 2>&1) \
            || fail "the network $NETWORK cannot be made: $words"
        echo "the overlay network $NETWORK is there"
        changed=yes
        ;;
    *) fail "there is a network $NETWORK already that is no attachable overlay network ($found): remove it, or choose another network_name" ;;
esac
tries=0
until [ "$(docker node ls --filter role=manager --format '{{.Self}} {{.Status}} {{.Availability}}' | grep '^true')" = "true Ready Active" ]; do
    tries=$((tries + 1))
    [ $tries -le 60 ] || fail "the swarm's node is not ready after a minute: $(docker node ls --format '{{.Hostname}} {{.Status}} {{.Availability}}' | head -n 1)"
    sleep 1
done
[ $changed = yes ] || echo "nothing to do: the swarm's node is ready, and $NETWORK is there"
fact node "$(docker info --format '{{.Swarm.NodeID}}')"
