if docker secret inspect "$SECRET" > /dev/null 2>&1; then
    echo "nothing to do: the swarm has the administrator's password"
    exit 0
fi
IFS= read -r password || [ -n "$password" ] || fail "no password came for Portainer's administrator"
case $password in
    \$\{secret*) fail "this host does not put secrets in their places: update it, and run this again" ;;
esac
words=$(printf '%s' "$password" | docker secret create --label made-by=windlass "$SECRET" - 2>&1) \
    || docker secret inspect "$SECRET" > /dev/null 2>&1 \
    || fail "the swarm does not take the password: $words"
echo "the swarm has the administrator's password"
