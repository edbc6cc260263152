# Docker writes logs without end unless told otherwise. Somebody's own settings are left alone.
configure() {
    mkdir -p /etc/docker
    if [ -s /etc/docker/daemon.json ] && ! grep -q 'made-by=windlass' /etc/docker/daemon.json; then
        echo "note: /etc/docker/daemon.json is somebody's own and is left as it is"
        return 1
    fi
    put /etc/docker/daemon.json << 'END'
{
  "labels": ["made-by=windlass"],
  "log-driver": "json-file",
  "log-opts": { "max-size": "10m", "max-file": "3" }
}
END
}
start() {
    if has_systemd; then
        systemctl enable --quiet docker
        systemctl "$1" docker || fail "systemd cannot start Docker: $(systemctl status --no-pager -n 3 docker 2>&1 | tail -n 1)"
        return
    fi
    # Its init script may ask for limits that a container cannot give. A daemon must not be taken
    # for a part of this command.
    [ "$1" != restart ] || service docker stop > /dev/null 2>&1
    env -u WINDLASS_RECEIPT service docker start > /dev/null 2>&1 < /dev/null
    for _ in 1 2 3 4 5; do
        [ -z "$(answers)" ] || return
        pgrep -x dockerd > /dev/null || break
        sleep 1
    done
    pgrep -x dockerd > /dev/null && return
    echo "its init script does not start it: starting dockerd itself"
    env -u WINDLASS_RECEIPT setsid dockerd >> /var/log/docker.log 2>&1 < /dev/null &
}
# Docker's own packages. Answers whether its repository can be used.
add_repository() {
    base=https://download.docker.com/linux/$DISTRIBUTION
    mkdir -p /etc/apt/keyrings
    if ! reason=$(curl -fsSL --connect-timeout 10 --max-time 60 -o /etc/apt/keyrings/docker.asc.new "$base/gpg" 2>&1); then
        rm -f /etc/apt/keyrings/docker.asc.new
        return 1
    fi
    grep -q 'BEGIN PGP PUBLIC KEY BLOCK' /etc/apt/keyrings/docker.asc.new || {
        reason="what answers there is no key"
        rm -f /etc/apt/keyrings/docker.asc.new
        return 1
    }
    mv /etc/apt/keyrings/docker.asc.new /etc/apt/keyrings/docker.asc
    chmod 644 /etc/apt/keyrings/docker.asc
    echo "deb [arch=$ARCHITECTURE signed-by=/etc/apt/keyrings/docker.asc] $base $CODENAME stable" \
        > /etc/apt/sources.list.d/docker.list
    apt update -o Dir::Etc::sourcelist=sources.list.d/docker.list -o Dir::Etc::sourceparts=- \
        -o APT::Get::List-Cleanup=0 && ! grep -qE '^(Err:|W: Failed to fetch)' "$apt_words" && return
    reason=$(grep -E '^(E|Err|W)[: ]' "$apt_words" | head -n 1)
    # What cannot be fetched would break every later apt-get.
    rm -f /etc/apt/sources.list.d/docker.list
    return 1
}

apt_mend
changed=no
if ! command -v dockerd > /dev/null || ! command -v docker > /dev/null; then
    changed=yes
    configure
    if add_repository; then
        echo "installing Docker Engine from Docker's own repository"
        apt install -y --no-install-recommends docker-ce docker-ce-cli containerd.io \
            || apt_failed "Docker cannot be installed"
    else
        echo "Docker's own repository cannot be used ($reason): installing the distribution's docker.io"
        apt install -y --no-install-recommends docker.io iptables \
            || apt_failed "Docker cannot be installed"
    fi
elif configure; then
    changed=yes
    [ -z "$(answers)" ] || start restart
fi
if [ -z "$(answers)" ]; then
    changed=yes
    start start
fi
tries=0
until version=$(answers) && [ -n "$version" ]; do
    tries=$((tries + 1))
    [ $tries -le 60 ] || fail "Docker is installed and does not answer: $(docker version 2>&1 | tail -n 1) $(tail -n 1 /var/log/docker.log 2>/dev/null)"
    sleep 1
done
case $version in
    [0-9].* | 1[0-9].*) fail "Docker $version is too old for Traefik: remove it, and run this again" ;;
esac
[ $changed = yes ] || echo "nothing to do: Docker $version answers"
fact docker "$version"
