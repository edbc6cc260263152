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
free=$(df -Pk /var | awk 'NR == 2 { print $4 }')
if [ "${free:-0}" -lt 1048576 ] && [ -z "$(answers)" ]; then
    fail "the disk has only $((${free:-0} / 1024)) MiB left at /var: 1024 MiB are needed; free some space and run this again"
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
