#!/bin/sh
# The first process of a machine that is a container: what a boot does, then sshd, for which it
# also waits on orphans.
mkdir -p /run/sshd /run/lock
# A Docker engine inside wants to make control groups of its own.
for mounted in /sys/fs/cgroup /sys/fs/cgroup/*; do
    grep -q " $mounted " /proc/mounts && mount -o remount,bind,rw "$mounted" 2>/dev/null
done
if [ -e /sys/fs/cgroup/cgroup.subtree_control ]; then
    # Version 2 gives controllers only to groups below one without processes.
    mkdir -p /sys/fs/cgroup/init
    while read -r pid; do echo "$pid"; done < /sys/fs/cgroup/cgroup.procs |
        while read -r pid; do echo "$pid" > /sys/fs/cgroup/init/cgroup.procs; done 2>/dev/null
    sed 's/\([a-z]*\)/+\1/g' /sys/fs/cgroup/cgroup.controllers \
        > /sys/fs/cgroup/cgroup.subtree_control 2>/dev/null
fi
/usr/sbin/sshd -D -e &
sshd=$!
trap 'kill $sshd; exit 0' TERM INT
# A restarted sshd is waited for as well.
while :; do
    wait $sshd
    while kill -0 "$(cat /run/sshd.pid 2>/dev/null || echo 0)" 2>/dev/null; do sleep 1; done
    /usr/sbin/sshd -D -e &
    sshd=$!
    sleep 1
done
