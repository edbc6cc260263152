#!/bin/sh
# The first process of a lab machine: cloud-init where it has a seed, then sshd.
mkdir -p /run/sshd /run/lock
for mounted in /sys/fs/cgroup /sys/fs/cgroup/*; do
    grep -q " $mounted " /proc/mounts && mount -o remount,bind,rw "$mounted" 2>/dev/null
done
if [ -e /var/lib/cloud/seed/nocloud/user-data ]; then
    mkdir -p /run/cloud-init
    : > /run/cloud-init/enabled
    for stage in "init --local" init "modules --mode=config"; do
        cloud-init $stage >> /var/log/cloud-init-output.log 2>&1
    done
    # As where systemd starts it: people can log in before the last stage is over.
    cloud-init modules --mode=final >> /var/log/cloud-init-output.log 2>&1 &
else
    ssh-keygen -A > /dev/null
fi
# This shell stays, and so reaps what nobody else does. An sshd that was killed does not come back.
/usr/sbin/sshd -D -e &
trap 'exit 0' TERM INT
while :; do sleep 3600 & wait $!; done
