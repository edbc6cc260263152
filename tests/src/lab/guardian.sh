#!/bin/sh
# Runs the lab's engine while somebody holds the other end of its standard input, and leaves
# nothing behind. Arguments: a cache folder, the bridge's name.
# Says `ready <subnet>` or `failed <reason>` once.
cache=$1 bridge=$2
run=/run/windlass-lab
mkdir -p "$cache" "$run"
# There is one bridge and one socket, whatever the cache.
exec 9> "$run.lock"
flock -w 900 9 || { echo "failed another run holds the lab since 15 minutes"; exit 1; }

# The engine, its containers' mounts, the bridge and its rules: ours only, by recorded id and name.
clean() {
    if [ -s "$run/engine.pid" ]; then
        engine=$(cat "$run/engine.pid")
        if tr '\0' ' ' < "/proc/$engine/cmdline" 2>/dev/null | grep -qF -- "--exec-root $run/exec"; then
            for container in $(docker -H "unix://$run/engine.sock" ps -aq 2>/dev/null); do
                docker -H "unix://$run/engine.sock" rm -fv "$container" > /dev/null 2>&1
            done
            kill "$engine"
            tries=0
            while kill -0 "$engine" 2>/dev/null && [ $tries -lt 150 ]; do
                sleep 0.1
                tries=$((tries + 1))
            done
            kill -9 "$engine" 2>/dev/null
        fi
        if [ -s "$run/exec/containerd/containerd.pid" ]; then
            kill -9 "$(cat "$run/exec/containerd/containerd.pid")" 2>/dev/null
        fi
    fi
    for mounted in $(awk -v a="$cache/engine" -v b="$run/" \
        'index($2, a) == 1 || index($2, b) == 1 { print $2 }' /proc/mounts | sort -r); do
        umount -l "$mounted"
    done
    if [ -s "$run/subnet" ]; then
        subnet=$(cat "$run/subnet")
        iptables -t nat -D POSTROUTING -s "$subnet.0/24" ! -o "$bridge" -j MASQUERADE
        iptables -D FORWARD -i "$bridge" -j ACCEPT
        iptables -D FORWARD -o "$bridge" -j ACCEPT
    fi 2>/dev/null
    ip link del "$bridge" 2>/dev/null
    [ ! -s "$run/forward" ] || cat "$run/forward" > /proc/sys/net/ipv4/ip_forward
    rm -rf "$run"
}
# What a killed run may have left.
clean
mkdir -p "$run"
trap clean EXIT
trap '' INT HUP
trap 'exit 1' TERM

for number in 77 78 79 80 81 82; do
    subnet=10.213.$number
    ip -4 route | grep -q "^$subnet\." || break
done
echo "$subnet" > "$run/subnet"
ip link add "$bridge" type bridge && ip addr add "$subnet.1/24" dev "$bridge" \
    && ip link set "$bridge" up || { echo "failed cannot make a network bridge"; exit 1; }
iptables -t nat -A POSTROUTING -s "$subnet.0/24" ! -o "$bridge" -j MASQUERADE
iptables -I FORWARD -i "$bridge" -j ACCEPT
iptables -I FORWARD -o "$bridge" -j ACCEPT
cat /proc/sys/net/ipv4/ip_forward > "$run/forward"
echo 1 > /proc/sys/net/ipv4/ip_forward

# The engine would go on with the network that it had when another subnet was free.
rm -rf "$cache/engine/network"
dockerd --data-root "$cache/engine" --exec-root "$run/exec" --pidfile "$run/docker.pid" \
    -H "unix://$run/engine.sock" --bridge "$bridge" --iptables=false --ip6tables=false \
    --userland-proxy=false --shutdown-timeout 1 > "$cache/engine.log" 2>&1 < /dev/null 9>&- &
echo $! > "$run/engine.pid"
tries=0
until curl -s --unix-socket "$run/engine.sock" http://engine/_ping > /dev/null; do
    sleep 0.1
    tries=$((tries + 1))
    if [ $tries -gt 300 ] || ! kill -0 "$(cat "$run/engine.pid")" 2>/dev/null; then
        echo "failed the engine does not start: $(tail -n 1 "$cache/engine.log")"
        exit 1
    fi
done
# A machine of a run that was killed with its guardian.
for container in $(docker -H "unix://$run/engine.sock" ps -aq); do
    docker -H "unix://$run/engine.sock" rm -fv "$container" > /dev/null 2>&1
done
echo "ready $subnet"
# Ends with whoever started it, however that ends.
cat > /dev/null
