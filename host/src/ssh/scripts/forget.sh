# Removes receipts, one identity a line of standard input, `nonce how` before them. After `release` a
# command may be sent again; after `forget` it never starts any more, however late it arrives: a mark
# stays for a day, longer than anything is on its way.
export LC_ALL=C
IFS=' ' read -r nonce how || exit 1
say() { printf '%s %s\n' "$nonce" "$*" >&2; exit 0; }
while read -r key uid _; do [ "$key" = Uid: ] && break; done < /proc/self/status
if [ "$uid" = 0 ]; then root=/var/lib/windlass/receipts; else root=$HOME/.windlass/receipts; fi
over=$root/.over
if [ "$how" = forget ]; then
    mkdir -p "$over" || say refused "cannot make $over"
    find "$over" -type f -mmin +1440 -exec rm -f {} + 2>/dev/null
fi
while IFS= read -r id; do
    case $id in ''|*[!a-z0-9_-]*) continue ;; esac
    # The mark first: whoever makes the receipt's directory after it is gone sees the mark.
    [ "$how" != forget ] || true > "$over/$id" || say refused "cannot write $over/$id"
    rm -rf "$root/$id" "$root/.$id".* || say refused "cannot remove $root/$id"
done
say "done"
