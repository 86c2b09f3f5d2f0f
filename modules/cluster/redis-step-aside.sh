# shellcheck shell=bash
# slipway-redis-step-aside: where this member's Redis is a primary, another one takes its place, with the data. It ends once
# the Sentinels name another, or after 20 s for each.
REDISCLI_AUTH=$(<"$PASSWORD_FILE")
export REDISCLI_AUTH

sentinel() {
  timeout 5 redis-cli --no-auth-warning --user slipway-cluster --tls --cacert "$AUTHORITY" --cert "$CERTIFICATE" \
    --key "$KEY" -h "$ADDRESS" -p "$PORT" sentinel "$@"
}

leads() {
  local primary
  primary=$(sentinel get-master-addr-by-name "$1") || return 1
  [ "${primary%%$'\n'*}" = "$ADDRESS" ]
}

failed=0
for group in $REDIS_GROUPS; do
  if ! leads "$group"; then
    echo "$group: this member is not its primary"
    continue
  fi
  answer=$(sentinel failover "$group" 2>&1) || true
  if [ "$answer" != OK ]; then
    echo "$group: Sentinel does not hand it over: $answer" >&2
    failed=1
    continue
  fi
  for _ in $(seq 20); do
    leads "$group" || break
    sleep 1
  done
  if leads "$group"; then
    echo "$group: this member is still its primary after 20 s" >&2
    failed=1
  else
    echo "$group: another member is its primary now"
  fi
done
exit "$failed"
