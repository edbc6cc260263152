changed=no
zone=/usr/share/zoneinfo/$TIMEZONE
[ -f "$zone" ] || fail "the server knows no timezone $TIMEZONE: use one such as Etc/UTC or Europe/Berlin"
if [ "$(readlink -f /etc/localtime)" != "$(readlink -f "$zone")" ]; then
    ln -sfn "$zone" /etc/localtime || fail "cannot set the timezone"
    echo "$TIMEZONE" > /etc/timezone
    echo "timezone: $TIMEZONE"
    changed=yes
fi
if put /etc/apt/apt.conf.d/52windlass << 'END'
APT::Periodic::Update-Package-Lists "1";
APT::Periodic::Unattended-Upgrade "1";
END
then
    echo "security updates are installed every day"
    changed=yes
fi
if is_container; then
    [ -e /var/lib/windlass/shared-kernel ] || {
        echo "this machine shares its host's kernel: hostname, swap, sysctl and firewall are left to the host"
        mkdir -p /var/lib/windlass && : > /var/lib/windlass/shared-kernel
        changed=yes
    }
    [ $changed = yes ] || echo "nothing to do: timezone and security updates are as wanted"
    exit 0
fi

if [ "$(cat /etc/hostname 2>/dev/null)" != "$SERVER" ]; then
    echo "$SERVER" > /etc/hostname && hostname "$SERVER" || fail "cannot set the host name"
    grep -q "[[:space:]]$SERVER\$" /etc/hosts || echo "127.0.1.1 $SERVER" >> /etc/hosts
    echo "host name: $SERVER"
    changed=yes
fi
if put /etc/sysctl.d/90-windlass.conf << 'END'
vm.swappiness = 10
vm.overcommit_memory = 1
vm.max_map_count = 262144
net.core.somaxconn = 1024
END
then
    sysctl -q -p /etc/sysctl.d/90-windlass.conf || echo "note: the kernel does not take all settings"
    changed=yes
fi
if [ -z "$(awk 'NR > 1' /proc/swaps)" ]; then
    room=$(df -Pk / | awk 'NR == 2 { print $4 }')
    if [ "$room" -lt 6291456 ]; then
        echo "note: no swap file was made, since the disk has less than 6 GiB left"
    else
        echo "making 2 GiB of swap"
        rm -f /swapfile
        { fallocate -l 2G /swapfile 2>/dev/null || dd if=/dev/zero of=/swapfile bs=1M count=2048 2>/dev/null; } \
            && chmod 600 /swapfile && mkswap /swapfile > /dev/null && swapon /swapfile \
            || { rm -f /swapfile; fail "the swap file cannot be made"; }
        grep -q '^/swapfile ' /etc/fstab || echo "/swapfile none swap sw 0 0" >> /etc/fstab
        changed=yes
    fi
fi
# Docker publishes ports past ufw by itself; these are for what runs on the server beside it.
port=$(sshd -T 2>/dev/null | awk '$1 == "port" { print $2; exit }')
rules=$(ufw status 2>/dev/null)
case $rules in
    *"Status: active"*) ;;
    *)
        for rule in "${port:-22}/tcp" 80/tcp 443/tcp; do
            ufw allow "$rule" > /dev/null || fail "the firewall takes no rule for $rule"
        done
        ufw --force enable > /dev/null || fail "the firewall cannot be switched on"
        echo "firewall: ${port:-22}, 80 and 443 are open"
        changed=yes
        ;;
esac
[ $changed = yes ] || echo "nothing to do: host name, timezone, swap, kernel settings and firewall are as wanted"
