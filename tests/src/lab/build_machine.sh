#!/bin/sh
# Makes a machine image as a tarball. Arguments: the tarball, a mirror, the boot script.
set -e
tarball=$1 mirror=$2 boot=$3
folder=$tarball.work
rm -rf "$folder"
trap 'rm -rf "$folder" "$tarball.new"' EXIT
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
debootstrap --variant=minbase bookworm "$folder" "$mirror"
cat > "$folder/etc/dpkg/dpkg.cfg.d/lab" <<END
path-exclude=/usr/share/doc/*
path-exclude=/usr/share/man/*
force-unsafe-io
END
printf '#!/bin/sh\nexit 101\n' > "$folder/usr/sbin/policy-rc.d"
chmod 755 "$folder/usr/sbin/policy-rc.d"
chroot "$folder" apt-get update
chroot "$folder" apt-get install -y --no-install-recommends \
    ca-certificates cloud-init curl gnupg iproute2 iptables openssh-server procps sudo
rm -rf "$folder/etc/ssh"/ssh_host_* "$folder/var/cache/apt/archives"/*.deb
rm -rf "$folder/usr/share/doc"/* "$folder/usr/share/man"/*
# There is no console to print keys on, and only one locale.
cat > "$folder/etc/cloud/cloud.cfg.d/90_lab.cfg" <<END
locale: C.UTF-8
ssh: { emit_keys_to_console: false }
END
install -m 755 "$boot" "$folder/usr/local/sbin/windlass-boot"
tar -C "$folder" --numeric-owner -cf "$tarball.new" .
mv "$tarball.new" "$tarball"
