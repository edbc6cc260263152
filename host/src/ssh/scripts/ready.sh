# Waits until cloud-init ended, where there is one, at most so many seconds.
#
# Standard input: a line `nonce seconds`.
export LC_ALL=C
IFS=' ' read -r nonce seconds || exit 1
say() { printf '%s %s\n' "$nonce" "$*" >&2; exit 0; }
command -v cloud-init > /dev/null || say done
# Installed and not in use: it would be waited for in vain.
[ -e /run/cloud-init/enabled ] || [ -e /run/cloud-init/status.json ] || say done
words=$(timeout "$seconds" cloud-init status --wait 2>&1)
code=$?
words=$(printf '%s' "$words" | tr -d '.' | tr '\n' ' ')
case $code in
    124|143) say refused "cloud-init has not ended: $(cloud-init status 2>/dev/null | tr '\n' ' ')" ;;
    *) say done "$words" ;;
esac
