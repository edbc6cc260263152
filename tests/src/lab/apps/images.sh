# Builds images under the names that recipes want, out of one with Debian's packages in it. The
# programs n8n.py and traefik are in /root. $1 that image, $2 PostgreSQL, $3 Redis, $4 n8n, $5 Traefik.
set -e
folder=$(mktemp -d)
cp /root/n8n.py "$folder"
# What the official image does with its variables.
cat > "$folder/postgres.sh" <<'END'
#!/bin/sh
set -e
as_postgres="setpriv --reuid=postgres --regid=postgres --init-groups"
mkdir -p "$PGDATA" /run/postgresql
chown postgres "$PGDATA" /run/postgresql
chmod 700 "$PGDATA"
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    password=$(mktemp)
    printf '%s' "$POSTGRES_PASSWORD" > "$password"
    chown postgres "$password"
    $as_postgres initdb -D "$PGDATA" -U "$POSTGRES_USER" --pwfile="$password" \
        --auth-local=trust --auth-host=scram-sha-256 -E UTF8 --locale=C.UTF-8
    rm "$password"
    echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
fi
exec $as_postgres "$@" -D "$PGDATA" -c "listen_addresses=*"
END
# The same of Redis.
cat > "$folder/redis.sh" <<'END'
#!/bin/sh
set -e
chown redis /data
exec setpriv --reuid=redis --regid=redis --init-groups "$@"
END
chmod 755 "$folder"/*.sh
make() { docker build -q -t "$1" -f - "$folder"; }
make "$2" <<END
FROM $1
COPY postgres.sh /usr/local/bin/docker-entrypoint.sh
ENV PATH=/usr/lib/postgresql/15/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
STOPSIGNAL SIGINT
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["postgres"]
END
make "$3" <<END
FROM $1
COPY redis.sh /usr/local/bin/docker-entrypoint.sh
WORKDIR /data
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["redis-server"]
END
make "$4" <<END
FROM $1
COPY n8n.py /n8n.py
ENTRYPOINT ["python3", "-u", "/n8n.py"]
END
rm -rf "$folder"
# Traefik is itself, and a folder that it writes to.
folder=$(mktemp -d)
mkdir -p "$folder/tmp" "$folder/etc/ssl/certs"
cp /root/traefik "$folder/traefik"
cp /etc/ssl/certs/ca-certificates.crt "$folder/etc/ssl/certs/"
tar -C "$folder" -c . | docker import -c 'ENTRYPOINT ["/traefik"]' - "$5"
rm -rf "$folder" /root/traefik
