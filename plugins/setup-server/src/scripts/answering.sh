# $PORT answers HTTP, whatever it says: a redirection or a 404 is what Traefik answers without apps.
tries=0
until code=$(curl -ksS -o /dev/null --max-time 5 -w '%{http_code}' "$SCHEME://$IPV4:$PORT/" 2>&1); do
    tries=$((tries + 1))
    [ $tries -le 60 ] || fail "$WHAT runs and does not answer at $SCHEME://$IPV4:$PORT: $code"
    sleep 1
done
echo "$WHAT answers at port $PORT ($code)"
fact now "$(date -u +%Y-%m-%dT%H:%M:%SZ)"
