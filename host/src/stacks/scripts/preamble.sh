set -u
umask 077
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
fail() {
    echo "failed: $*" >&2
    exit 1
}
command -v docker > /dev/null || fail "there is no Docker on this server: set the server up first"
wl_kept=/var/lib/windlass/stacks
