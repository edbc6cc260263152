# Writes a file whole or not at all.
#
# Standard input: a line `nonce mode size`, a line with the path in base64, then the content.
umask 077
export LC_ALL=C
IFS=' ' read -r nonce mode size || exit 1
IFS= read -r path || exit 1
say() { printf '%s %s\n' "$nonce" "$*" >&2; exit 0; }
path=$(printf '%s\n' "$path" | base64 -d)
dir=${path%/*}/
[ -d "$dir" ] || say refused "there is no directory $dir"
[ ! -d "$path" ] || say refused "$path is a directory"
temporary=$(mktemp "$dir.windlass.XXXXXXXX" 2>&1) || say refused "cannot write to $dir: $temporary"
trap 'rm -f "$temporary"' EXIT
cat > "$temporary" && [ "$(wc -c < "$temporary")" -eq "$size" ] \
    || say refused "the content of $path did not arrive whole; is the disk full?"
{ chmod "$mode" "$temporary" && { sync "$temporary" || sync; } } 2>/dev/null \
    || say refused "cannot set the mode of $path"
mv -f "$temporary" "$path" 2>/dev/null || say refused "cannot replace $path"
sync "$dir" 2>/dev/null
say done
