# shellcheck shell=bash
# slipway-redis-step-aside: where the new generation restarts this member's Redis and that is a primary, another one takes its
# place, with the data. It ends once the Sentinels name another, or after 20 s for each.
REDISCLI_AUTH=$(<"$PASSWORD_FILE")
export REDISCLI_AUTH

# sentinel ADDRESS …: asks the one there. An error in its answer counts as trouble.
sentinel() {
  local one=$1
  shift
  timeout 5 redis-cli -e --no-auth-warning --user slipway-cluster --tls --cacert "$AUTHORITY" --cert "$CERTIFICATE" \
    --key "$KEY" -h "$one" -p "$PORT" sentinel "$@" 2>&1
}
# primary GROUP: `now` is what the first Sentinel says that answers, and that one is `by`.
primary() {
  for by in $SENTINELS; do
    if now=$(sentinel "$by" get-master-addr-by-name "$1"); then
      now=${now%%$'\n'*}
      return
    fi
  done
  return 1
}

failed=0
for group in $REDIS_GROUPS; do
  if ! restarts "redis-$group.service"; then
    echo "$group: its Redis does not restart, so it goes on as it is"
    continue
  fi
  if ! primary "$group"; then
    echo "$group: no Sentinel says who its primary is, so nothing was handed over (asked $SENTINELS at port $PORT); see: journalctl -u slipway-sentinel; the last answer: ${now##*$'\n'}" >&2
    failed=1
    continue
  fi
  if [ "$now" != "$ADDRESS" ]; then
    echo "$group: this member is not its primary"
    continue
  fi
  if ! answer=$(sentinel "$by" failover "$group"); then
    echo "$group: Sentinel does not hand it over: ${answer##*$'\n'}" >&2
    failed=1
    continue
  fi
  for _ in $(seq 20); do
    primary "$group" || now=
    [ -z "$now" ] || [ "$now" = "$ADDRESS" ] || break
    sleep 1
  done
  if [ -z "$now" ] || [ "$now" = "$ADDRESS" ]; then
    echo "$group: the Sentinels name no other primary after 20 s" >&2
    failed=1
  else
    echo "$group: another member is its primary now"
  fi
done
exit "$failed"
