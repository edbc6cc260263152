has_secret() { docker secret inspect "$SECRET" > /dev/null 2>&1; }
give_secret() { printf '%s' "$password" | docker secret create --label made-by=windlass "$SECRET" - 2>&1; }
wait_for_docker
if has_secret; then
    echo "nothing to do: the swarm has the administrator's password"
    exit 0
fi
IFS= read -r password || [ -n "$password" ] || fail "no password came for Portainer's administrator"
case $password in
    \$\{secret*) fail "this host does not put secrets in their places: update it, and run this again" ;;
esac
# Docker may be restarted just now: then it is asked once more.
words=$(give_secret) || { wait_for_docker && has_secret; } || words=$(give_secret) \
    || fail "the swarm does not take the password: $words"
echo "the swarm has the administrator's password"
