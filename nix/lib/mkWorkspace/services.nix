# Postgres and Redis beside the tests of a derivation: shell for before and after, and what it needs.
{
  lib,
  pkgs,
  services,
}:
let
  has = service: lib.elem service services;
in
{
  inputs = lib.optional (has "postgres") pkgs.postgresql_17 ++ lib.optional (has "redis") pkgs.redis;

  start = ''
    services=$(mktemp -d)
  ''
  # A port that is taken makes the server end at once; then another one is tried.
  + lib.optionalString (has "postgres") ''
    initdb --pgdata "$services/postgres" --auth trust --username postgres --encoding UTF8 --locale C.UTF-8 >/dev/null
    for attempt in 1 2 3 4 5; do
      port=$((20000 + RANDOM % 10000))
      if pg_ctl --pgdata "$services/postgres" --log "$services/postgres.log" --wait start -o "-p $port -k $services \
        -c listen_addresses=127.0.0.1 -c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=300"; then
        break
      fi
      [ "$attempt" != 5 ] || { cat "$services/postgres.log"; exit 1; }
    done
    export DATABASE_URL=postgres://postgres@127.0.0.1:$port/postgres
  ''
  + lib.optionalString (has "redis") ''
    for attempt in 1 2 3 4 5; do
      port=$((30000 + RANDOM % 10000))
      redis-server --port $port --bind 127.0.0.1 --save "" --dir "$services" --daemonize yes \
        --pidfile "$services/redis.pid" --logfile "$services/redis.log"
      for wait in $(seq 50); do
        [ "$(redis-cli -p $port ping 2>/dev/null)" != PONG ] || break 2
        sleep 0.1
      done
      [ "$attempt" != 5 ] || { cat "$services/redis.log"; exit 1; }
    done
    export REDIS_URL=redis://127.0.0.1:$port
  '';

  stop =
    lib.optionalString (has "postgres") ''
      pg_ctl --pgdata "$services/postgres" --mode immediate stop
    ''
    + lib.optionalString (has "redis") ''
      kill "$(cat "$services/redis.pid")"
    '';
}
