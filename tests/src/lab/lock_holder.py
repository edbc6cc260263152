#!/usr/bin/python3
# Holds dpkg's lock as a machine's own updates do, until it is ended.
import fcntl, signal
lock = open("/var/lib/dpkg/lock-frontend", "w")
fcntl.lockf(lock, fcntl.LOCK_EX)
open("/tmp/lock-is-held", "w").close()
signal.pause()
