[ -r /etc/os-release ] || fail "this is no Linux distribution that we know: there is no /etc/os-release"
# shellcheck source=/dev/null
. /etc/os-release
: "${ID:=unknown}" "${VERSION_ID:=unknown}" "${VERSION_CODENAME:=unknown}"
case $ID-$VERSION_ID in
    debian-12 | debian-13 | ubuntu-22.04 | ubuntu-24.04) ;;
    *) fail "this is $ID $VERSION_ID: use Debian 12 or 13, or Ubuntu 22.04 or 24.04" ;;
esac
architecture=$(dpkg --print-architecture)
case $architecture in
    amd64 | arm64) ;;
    *) fail "this is an $architecture machine: use one with amd64 or arm64" ;;
esac
# What is to come needs so many MiB below these folders, some of which may be mount points. Where
# Docker runs already, little is to come.
needs() {
    if [ -z "$(answers)" ]; then
        echo "/usr 512 /var/cache/apt/archives 256 /var/lib/docker 1024 /tmp 16 /etc 1"
    else
        echo "/usr 32 /var/cache/apt/archives 32 /var/lib/docker 64 /tmp 16 /etc 1"
    fi
}
short=$(needs | xargs -n 2 sh -c '
    place=$0
    until [ -e "$place" ]; do place=${place%/*}; done
    df -Pk "$place" | awk -v need="$1" "NR == 2 { print \$6, \$4, need }"
' | awk '
    { left[$1] = $2; need[$1] += $3 }
    END {
        for (point in left) if (left[point] < need[point] * 1024) {
            printf "%s%s has %d MiB left and needs %d", comma, point, left[point] / 1024, need[point]
            comma = ", "
        }
    }')
[ -z "$short" ] || fail "the disk is too full: $short; free some space there, or take a larger server, and run this again"
if [ -e /run/cloud-init/status.json ] && command -v cloud-init > /dev/null; then
    case $(cloud-init status 2>&1) in
        *error* | *degraded*)
            echo "note: cloud-init ended in error, so something that it was to do may be missing; going on (\`cloud-init status --long\` on the server says more)"
            ;;
    esac
fi
fact distribution "$ID"
fact codename "$VERSION_CODENAME"
fact version "$VERSION_ID"
fact architecture "$architecture"
if is_container; then fact container yes; else fact container no; fi
if has_systemd; then fact systemd yes; else fact systemd no; fi
if [ -e /proc/net/if_inet6 ] && ip -6 route show default 2>/dev/null | grep -q .; then
    fact ipv6 yes
else
    fact ipv6 no
fi
