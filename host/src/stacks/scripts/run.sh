# Runs a command in a container. Its arguments are this script's.
find_container
exec docker exec -i -e WINDLASS_RECEIPT "$wl_container" "$@"
