stamp=/var/lib/windlass/packages-updated
wanted="ca-certificates curl tzdata unattended-upgrades"
if ! is_container; then wanted="$wanted ufw"; fi
missing=
for package in $wanted; do
    is_installed "$package" || missing="$missing $package"
done
apt_mend
if [ -z "$missing" ] && [ -n "$(find "$stamp" -mtime -1 2>/dev/null)" ]; then
    echo "nothing to do: the packages were brought up to date less than a day ago"
    exit 0
fi
apt update || apt_failed "the package lists cannot be brought up to date"
if grep -qE '^(Err:|W: Failed to fetch)' "$apt_words"; then
    apt_failed "the package lists cannot be brought up to date"
fi
apt upgrade -y --with-new-pkgs || apt_failed "the packages cannot be brought up to date"
if [ -n "$missing" ]; then
    # shellcheck disable=SC2086
    apt install -y --no-install-recommends $missing \
        || apt_failed "the base packages cannot be installed"
fi
mkdir -p "${stamp%/*}" && : > "$stamp" || fail "cannot write $stamp: is the disk full?"
if [ -e /var/run/reboot-required ]; then
    echo "note: the new kernel or libraries want a reboot; nothing here needs it, reboot when it suits"
fi
