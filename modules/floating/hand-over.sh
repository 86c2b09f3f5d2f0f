# shellcheck shell=bash
# slipway-hand-over GROUP: gives the group's floating addresses to another member without losing a request. Open connections
# end with their request; new ones get no answer for less than a second, and clients try again by themselves; then keepalived
# lets go, and a peer takes over. Whatever happens, this host is a candidate again at the end.
# GROUP is one of /etc/slipway/floating, or such a file itself: a rollout brings that of the new system.
settings=${1:-}
[ -e "$settings" ] || settings=/etc/slipway/floating/$settings
if [ ! -f "$settings" ]; then
  echo "usage: slipway-hand-over GROUP, one of: $(ls /etc/slipway/floating)" >&2
  exit 2
fi
interface='' file='' port='' drain='' addresses=() peers=()
# shellcheck disable=SC1090
source "$settings"

holds() { ip -4 -o address show dev "$interface" | grep -qF "inet ${addresses[0]} "; }
# Within so many tenths of a second.
until_true() {
  local end=$((${EPOCHREALTIME/[.,]/} + $1 * 100000))
  shift
  until "$@"; do
    [ "${EPOCHREALTIME/[.,]/}" -lt "$end" ] || return 1
    sleep 0.05
  done
}
asked() { curl -fsS -o /dev/null --max-time 1 "http://$1:$port/"; }
idle() {
  local bare
  for bare in "${addresses[@]%/*}"; do
    [ -z "$(ss -Htn state established src "$bare" '( sport = :80 or sport = :443 )')" ] || return 1
  done
}
ended() { ! pgrep -f '^nginx: worker process is shutting down' > /dev/null; }
gone() { ! holds; }
answered() { asked "${addresses[0]%/*}" 2> /dev/null; }

if gone; then
  echo "this host does not have ${addresses[*]}: nothing to hand over"
  exit 0
fi
healthy=
for peer in "${peers[@]}"; do
  if asked "$peer"; then healthy=$peer; fi
done
if [ -z "$healthy" ]; then
  echo "no other member answers at ${peers[*]} port $port, so ${addresses[*]} stay here: bring one back, or set services.slipway.floating.<name>.handOver.onFailure = \"continue\"" >&2
  exit 1
fi

# First those that are under way now, while new ones are served: the old workers end with their last request.
systemctl reload nginx.service
if ! until_true "$((drain * 10))" ended; then
  echo "some requests take longer than $drain s and are cut" >&2
fi

table="inet slipway-hand-over"
# The elements end by themselves, should this program be killed.
back() {
  echo 0 > "$file"
  # shellcheck disable=SC2086
  nft delete table $table 2> /dev/null || true
}
trap back EXIT
nft -f - << RULES
table $table
delete table $table
table $table {
  set closing {
    type ipv4_addr
    flags timeout
    timeout 15s
  }
  chain input {
    type filter hook input priority -10
    ip daddr @closing tcp dport { 80, 443 } tcp flags & (syn | ack) == syn drop
  }
}
add element $table closing { $(printf '%s,' "${addresses[@]%/*}") }
RULES

# Then those that came meanwhile. For longer than this, clients would send their first packet twice for nothing.
systemctl reload nginx.service
until_true 4 idle || true
# Should this program be killed now, keepalived would stay without a claim to the address.
systemd-run --quiet --collect --on-active=20s -- "$(type -P bash)" -c "echo 0 > '$file'"
echo 1 > "$file"
if until_true 30 gone && until_true 30 answered; then
  echo "another member has ${addresses[*]}"
else
  echo "nobody took ${addresses[*]} over, so this host keeps them: look at keepalived on ${peers[*]}" >&2
  exit 1
fi
