set -u
umask 022
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=a NEEDRESTART_SUSPEND=1
# The last line like this is what a person is told.
fail() {
    echo "failed: $*" >&2
    exit 1
}
# What the plugin reads: a name and a value.
fact() { echo "fact $1 $2"; }
[ "$(id -u)" = 0 ] || fail "this must run as root; the server lets us in as $(id -un) only"

has_systemd() { [ -d /run/systemd/system ]; }
# A machine that shares its kernel: what belongs to the kernel is somebody else's to set.
is_container() {
    [ -e /.dockerenv ] || [ -e /run/.containerenv ] || [ -e /run/systemd/container ] \
        || grep -qE 'container=|/docker/|/lxc/' /proc/1/environ /proc/1/cgroup 2>/dev/null
}
# Writes standard input to a file unless it says so already. Answers whether it changed.
put() {
    put_new=$1.windlass-new
    cat > "$put_new" || fail "cannot write $1: is the disk full?"
    if [ -e "$1" ] && cmp -s "$put_new" "$1"; then
        rm -f "$put_new"
        return 1
    fi
    mv -f "$put_new" "$1" || fail "cannot write $1: is the disk full?"
}
# The mount points that are as good as full.
full_disks() {
    df -Pk / /usr /var /var/cache/apt/archives /var/lib/apt/lists /var/lib/dpkg /tmp /boot 2>/dev/null \
        | awk 'NR > 1 && $4 < 20480 && !seen[$6]++ { printf "%s%s (%d MiB left)", comma, $6, $4 / 1024; comma = ", " }'
}
answers() { docker version --format '{{.Server.Version}}' 2>/dev/null; }
# After a restart, of the server or of Docker alone, it may still be on its way.
wait_for_docker() {
    tries=0
    until [ -n "$(answers)" ] || [ $tries -ge 60 ]; do
        tries=$((tries + 1))
        sleep 1
    done
}
