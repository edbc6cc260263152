# Builds images under the names of Portainer and its agent that do what these do: the one answers
# the API and deploys, the other lets it at the engine. $1 Portainer, $2 its agent. The program
# portainer.py is in /root.
set -e
root=$(mktemp -d)
copy() {
    for file in "$@"; do
        mkdir -p "$root${file%/*}"
        cp -L "$file" "$root$file"
        for library in $(ldd "$file" 2>/dev/null | grep -o '/[^ ]*'); do
            mkdir -p "$root${library%/*}"
            [ -e "$root$library" ] || cp -L "$library" "$root$library"
        done
    done
}
python=$(readlink -f /usr/bin/python3)
copy /bin/sh /bin/cat /bin/cp /bin/sleep "$python" /usr/bin/docker
mkdir -p "$root/usr/lib" "$root/tmp" "$root/data"
cp -rL "/usr/lib/${python##*/}" "$root/usr/lib/"
for module in "/usr/lib/${python##*/}"/lib-dynload/*.so; do copy "$module"; done
openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=portainer -days 30 \
    -keyout "$root/key.pem" -out "$root/cert.pem" 2> /dev/null
cp /root/portainer.py "$root/portainer.py"
cat > "$root/agent.py" <<'END'
import socket
import threading

def pass_on(source, target):
    while piece := source.recv(65536):
        target.sendall(piece)
    target.shutdown(socket.SHUT_WR)

door = socket.create_server(("", 9001))
while True:
    caller, _ = door.accept()
    engine = socket.socket(socket.AF_UNIX)
    engine.connect("/var/run/docker.sock")
    for pair in ((caller, engine), (engine, caller)):
        threading.Thread(target=pass_on, args=pair, daemon=True).start()
END
cat > "$root/serve.sh" <<END
export PATH=/usr/bin:/bin HOME=/tmp
if [ "\$ROLE" = agent ]; then exec $python -u /agent.py; fi
while [ \$# -gt 0 ]; do
    [ "\$1" != --admin-password-file ] || file=\$2
    shift
done
exec $python -u /portainer.py "\$file"
END
make() {
    tar -C "$root" -c . | docker import -c "ENV ROLE=$1" \
        -c 'ENTRYPOINT ["/bin/sh", "/serve.sh"]' - "$2"
}
make portainer "$1"
make agent "$2"
rm -rf "$root"
