# Waits until cloud-init ended, where there is one, at most so many seconds. Meanwhile it says
# `waiting` with the last line of what the first boot does, each time that this is another one.
#
# Standard input: a line `nonce seconds`.
export LC_ALL=C
IFS=' ' read -r nonce seconds || exit 1
say() { printf '%s %s\n' "$nonce" "$*" >&2; }
end() { say "$@"; exit 0; }
command -v cloud-init > /dev/null || end "done"
# Installed and not in use: it would be waited for in vain.
[ -e /run/cloud-init/enabled ] || [ -e /run/cloud-init/status.json ] || end "done"
watch() {
    before=
    # Its pauses hold none of the channel's ends open, and it ends with the script at the latest.
    while sleep 2 > /dev/null 2>&1 && kill -0 $$ 2> /dev/null; do
        line=$(tail -n 1 /var/log/cloud-init-output.log 2> /dev/null | tr -d '\r' | cut -c 1-200)
        [ -z "$line" ] || [ "$line" = "$before" ] || say waiting "$line"
        before=$line
    done
}
watch &
watcher=$!
words=$(timeout "$seconds" cloud-init status --wait 2>&1)
code=$?
kill "$watcher" 2> /dev/null
words=$(printf '%s' "$words" | tr -d '.' | tr '\n' ' ')
case $code in
    124|143) end refused "cloud-init has not ended: $(cloud-init status 2>/dev/null | tr '\n' ' ')" ;;
    *) end "done" "$words" ;;
esac
