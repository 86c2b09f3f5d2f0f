# leads: whether this member leads. Patroni says so before Postgres takes writes, so a new leader is waited for.
# shellcheck shell=bash
leads() {
  local answer tries
  for ((tries = 0; tries < 120; tries++)); do
    case $(cat /run/slipway-patroni/role 2> /dev/null) in
      master | primary) ;;
      *) return 1 ;;
    esac
    answer=$(psql --dbname=postgres --no-psqlrc -tAc 'SELECT pg_is_in_recovery()' 2> /dev/null) || answer=
    [ "$answer" != f ] || return 0
    sleep 1
  done
  echo "Patroni says that this member leads, and Postgres takes no writes after two minutes; see: journalctl -u slipway-patroni" >&2
  exit 1
}
