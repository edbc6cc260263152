# Portainer's port need not be open: its container has an address on Docker's own bridge, which only
# this machine reaches.
inside() {
    id=$(docker ps -q --no-trunc --filter "label=com.docker.swarm.service.name=$SERVICE" | head -n 1)
    [ -n "$id" ] || return 1
    box=$(docker inspect --format '{{.NetworkSettings.SandboxID}}' "$id") || return 1
    docker network inspect docker_gwbridge \
        --format '{{range $id, $it := .Containers}}{{$id}} {{$it.Name}} {{$it.IPv4Address}}{{println}}{{end}}' \
        | awk -v id="$id" -v box="$box" '
            $1 == id || $2 == "gateway_" substr(id, 1, 12) || $2 == "gateway_" substr(box, 1, 12) {
                sub("/.*", "", $3); print $3; exit
            }'
}
tries=0
until address=$(inside) && [ -n "$address" ] \
    && code=$(curl -ksS -o /dev/null --max-time 5 -w '%{http_code}' "https://$address:$PORT/api/system/status" 2>&1); do
    tries=$((tries + 1))
    [ $tries -le 60 ] || fail "$WHAT runs and does not answer inside the machine at ${address:-no address}:$PORT: ${code:-}"
    sleep 1
done
echo "$WHAT answers inside the machine at $address:$PORT ($code)"
fact now "$(date -u +%Y-%m-%dT%H:%M:%SZ)"
