# redis-renew STACK SOCKET PASSWORD-FILE AUTHORITY CERTIFICATE KEY: the running Redis takes the files anew. Connections stay.
# shellcheck shell=bash
stack=$1 socket=$2
REDISCLI_AUTH=$(<"$3")
export REDISCLI_AUTH
answer=$(timeout 10 redis-cli -e --no-auth-warning --user slipway-renewal -s "$socket" \
  config set tls-ca-cert-file "$4" tls-cert-file "$5" tls-key-file "$6" 2>&1) || {
  echo "Redis of $stack does not take its certificate anew and goes on with the earlier one: $answer; see: journalctl -u redis-$stack" >&2
  exit 1
}
