# Builds images of the names that a setup wants, which cannot be pulled here. Their containers
# listen on the same ports and answer. $1 Traefik, $2 Portainer, $3 its agent.
set -e
root=$(mktemp -d)
for program in /bin/sh /bin/cat /bin/sleep /usr/bin/perl /usr/bin/openssl; do
    mkdir -p "$root${program%/*}"
    cp -L "$program" "$root$program"
    for library in $(ldd "$program" | grep -o '/[^ ]*'); do
        mkdir -p "$root${library%/*}"
        cp -L "$library" "$root$library"
    done
done
modules=/usr/lib/$(uname -m)-linux-gnu/perl-base
mkdir -p "$root${modules%/*}" "$root/tmp" "$root/data" "$root/certificates"
cp -rL "$modules" "$root$modules"
openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=portainer -days 30 \
    -keyout "$root/key.pem" -out "$root/cert.pem" 2> /dev/null
cat > "$root/serve.pl" <<'END'
use IO::Socket::INET;
use IO::Select;
$SIG{TERM} = sub { exit 0 };
my @doors = map { IO::Socket::INET->new(LocalPort => $_, Listen => 9, ReuseAddr => 1) or die } @ARGV;
my $all = IO::Select->new(@doors);
while (1) {
    for my $door ($all->can_read) {
        my $caller = $door->accept or next;
        <$caller>;
        print $caller "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nok\n";
        close $caller;
    }
}
END
cat > "$root/serve.sh" <<'END'
trap 'exit 0' TERM
case $ROLE in
    traefik) exec perl /serve.pl 80 443 ;;
    agent) exec perl /serve.pl 9001 ;;
esac
while [ $# -gt 0 ]; do
    [ "$1" != --admin-password-file ] || file=$2
    shift
done
password=$(cat "$file")
[ ${#password} = 32 ] || { echo "no password of 32 characters in $file"; exit 1; }
perl /serve.pl 9000 &
exec openssl s_server -quiet -www -accept 9443 -cert /cert.pem -key /key.pem
END
make() {
    tar -C "$root" -c . | docker import -c "ENV ROLE=$1" \
        -c 'ENTRYPOINT ["/bin/sh", "/serve.sh"]' - "$2"
}
make traefik "$1"
make portainer "$2"
make agent "$3"
rm -rf "$root"
