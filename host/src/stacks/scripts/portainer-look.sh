# Tells who made a stack, and where on this server Portainer is: lines `digest`, `mark creating` or
# `mark made`, `services`, then `address` and `certificate`, or `down` and why.
mkdir -p "$wl_kept" || fail "cannot make $wl_kept: is the disk full?"
[ ! -s "$wl_kept/$wl_stack" ] || echo digest
[ ! -s "$wl_kept/$wl_stack.portainer" ] || printf 'mark %s\n' "$(cat "$wl_kept/$wl_stack.portainer")"
wl_words=$(docker service ls -q --filter "label=com.docker.stack.namespace=$wl_stack" 2>&1) \
    || case $wl_words in
        *"not a swarm manager"*) fail "this server is no swarm's manager: set the server up first" ;;
        *) fail "Docker does not tell of its services: $wl_words" ;;
    esac
[ -z "$wl_words" ] || echo services

wl_id=$(docker ps -q --no-trunc --filter "label=com.docker.swarm.service.name=$wl_service" | head -n 1)
if [ -z "$wl_id" ]; then
    wl_words=$(docker service ps --no-trunc --format '{{.CurrentState}} {{.Error}}' "$wl_service" 2>&1 | head -n 1)
    echo "down it has no running container (${wl_words:-its service has no replicas})"
    exit 0
fi
# Every container of an overlay network has an address on this bridge too, which its machine
# reaches, and nobody else. Docker names it after the container or after its network's sandbox.
wl_sandbox=$(docker inspect --format '{{.NetworkSettings.SandboxID}}' "$wl_id")
wl_address=$(docker network inspect docker_gwbridge \
    --format '{{range $id, $it := .Containers}}{{$id}} {{$it.Name}} {{$it.IPv4Address}}{{println}}{{end}}' 2>/dev/null \
    | awk -v id="$wl_id" -v box="$wl_sandbox" '
        $1 == id || $2 == "gateway_" substr(id, 1, 12) || $2 == "gateway_" substr(box, 1, 12) {
            sub("/.*", "", $3); print $3; exit
        }')
wl_data=$(docker inspect --format \
    '{{range .Mounts}}{{if eq .Destination "/data"}}{{.Source}}{{end}}{{end}}' "$wl_id")
if [ -z "$wl_address" ]; then
    echo "down its container has no address on docker_gwbridge"
elif [ ! -s "$wl_data/certs/cert.pem" ]; then
    echo "down it has not made its certificate yet"
else
    echo "address $wl_address"
    echo "certificate $(base64 < "$wl_data/certs/cert.pem" | tr -d '\n')"
fi
