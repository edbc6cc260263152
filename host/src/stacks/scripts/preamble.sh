set -u
umask 077
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
fail() {
    echo "failed: $*" >&2
    exit 1
}
# Whether these words say that the engine is away, as when it is restarted; if so, waits a moment
# before it is asked again.
wl_away=0
away() {
    case $1 in
        *"annot connect to the Docker daemon"* | *"does not have a leader"*) ;;
        *) return 1 ;;
    esac
    wl_away=$((wl_away + 1))
    [ $wl_away -le 30 ] && sleep 1
}
command -v docker > /dev/null || fail "there is no Docker on this server: set the server up first"
wl_kept=/var/lib/windlass/stacks
