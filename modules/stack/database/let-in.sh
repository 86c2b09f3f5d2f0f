# let_in SECONDS CLUSTER: waits until the leader lets the stack's role in, as psql's variables say; no longer than so many seconds.
# shellcheck shell=bash
let_in() {
  local answer end=$((SECONDS + $1)) told=
  until answer=$(PGCONNECT_TIMEOUT=5 timeout 10 psql --no-psqlrc -tAc 'SELECT 1' 2>&1 > /dev/null); do
    [ -n "$told" ] || echo "waiting for the leader of the cluster $2 to let $PGUSER in: ${answer%%$'\n'*}"
    told=yes
    [ "$SECONDS" -lt "$end" ] || {
      echo "the leader of the cluster $2 has not let $PGUSER in for $1 s, and this is tried again: ${answer%%$'\n'*}; see: slipway-cluster status" >&2
      return 1
    }
    sleep 1
  done
}
