# Tells the last lines of a service.
timeout 20 docker service logs --raw --no-trunc --tail 20 "${wl_stack}_$wl_service" 2>&1 | tail -n 20
exit 0
