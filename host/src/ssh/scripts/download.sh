# Reads a file of at most so many bytes, and one more to tell that there are more.
#
# Standard input: a line `nonce limit`, a line with the path in base64.
export LC_ALL=C
IFS=' ' read -r nonce limit || exit 1
IFS= read -r path || exit 1
say() { printf '%s %s\n' "$nonce" "$*" >&2; exit 0; }
path=$(printf '%s\n' "$path" | base64 -d)
[ -e "$path" ] || say refused "there is no file $path"
[ -f "$path" ] || say refused "$path is no regular file"
head -c $((limit + 1)) < "$path" 2>/dev/null || say refused "cannot read $path"
say done
