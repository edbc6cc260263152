# Tells of a stack: a line `digest …`, and lines `service {…}`, `task {…}` and `update name state`.
until wl_words=$(docker stack services --format 'service {{json .}}' "$wl_stack" 2>&1); do
    case $wl_words in
        *"othing found in stack"*) exit 0 ;;
        *"not a swarm manager"*) fail "this server is no swarm's manager: set the server up first" ;;
    esac
    away "$wl_words" || fail "Docker does not tell of the stack $wl_stack: $wl_words"
done
case $wl_words in "" | *"othing found in stack"*) exit 0 ;; esac
[ ! -r "$wl_kept/$wl_stack" ] || printf 'digest %s\n' "$(cat "$wl_kept/$wl_stack")"
printf '%s\n' "$wl_words"
docker stack ps --no-trunc --format 'task {{json .}}' "$wl_stack" 2> /dev/null
wl_ids=$(docker stack services -q "$wl_stack") || exit 0
# shellcheck disable=SC2086
docker service inspect --format \
    'update {{.Spec.Name}} {{if .UpdateStatus}}{{.UpdateStatus.State}}{{else}}none{{end}}' $wl_ids
exit 0
