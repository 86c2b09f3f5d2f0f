# slipway-hand-over GROUP: gives the group's floating addresses to another member without losing a request. New connections
# get no answer for the moment, and clients try again by themselves; those that are open end with their request; then
# keepalived lets go, and a peer takes over. Whatever happens, this host is a candidate again at the end.
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
  local tries=$1
  shift
  while ! "$@"; do
    [ "$tries" -gt 0 ] || return 1
    tries=$((tries - 1))
    sleep 0.1
  done
}
asked() { curl -fsS -o /dev/null --max-time 1 "http://$1:$port/"; }
idle() {
  local bare
  for bare in "${addresses[@]%/*}"; do
    [ -z "$(ss -Htn state established src "$bare" '( sport = :80 or sport = :443 )')" ] || return 1
  done
}
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
  echo "no other member answers at ${peers[*]} port $port, so ${addresses[*]} stay here: bring one back, or set handOver.onFailure = \"continue\"" >&2
  exit 1
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
    timeout $((drain + 15))s
  }
  chain input {
    type filter hook input priority -10
    ip daddr @closing tcp dport { 80, 443 } tcp flags & (syn | ack) == syn drop
  }
}
add element $table closing { $(printf '%s,' "${addresses[@]%/*}") }
RULES

# The old workers end their connections with the request that is under way.
systemctl reload nginx.service
if ! until_true "$((drain * 10))" idle; then
  echo "some requests take longer than $drain s and are cut" >&2
fi
echo 1 > "$file"
if until_true 30 gone && until_true 30 answered; then
  echo "another member has ${addresses[*]}"
else
  echo "nobody took ${addresses[*]} over, so this host keeps them: look at keepalived on ${peers[*]}" >&2
  exit 1
fi
