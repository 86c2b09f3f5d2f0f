# Starts etcd. A member whose data are lost cannot go on under its old number: the others drop that one and take it in anew.
# So one without data begins together with all others, when none of them has data, or joins what a majority has.
# shellcheck shell=bash
control() { etcdctl --endpoints="$OTHERS" --command-timeout=5s "$@"; }
# What the member at an address says of itself, at the port for members: etcd, or the beacon below.
ask() {
  curl --silent --fail --http1.1 --max-time 3 --cacert "$ETCD_PEER_TRUSTED_CA_FILE" --cert "$ETCD_PEER_CERT_FILE" \
    --key "$ETCD_PEER_KEY_FILE" "$1/$2"
}

# "new": it has no data either. "begins": its etcd waits for the first start of this one. "knows": this one was a member of
# its etcd, or has left it. "away": it does not answer.
state_of() {
  local answer
  if answer=$(ask "$1" members 2> /dev/null); then
    # Addresses for clients are empty before a member's first start.
    jq -r --arg me "$ETCD_INITIAL_ADVERTISE_PEER_URLS" \
      'if any(.[]; .peerURLs == [$me] and (.name // "") != "" and (.clientURLs // []) == []) then "begins" else "knows" end' <<< "$answer"
  elif [ "$(ask "$1" new 2> /dev/null)" = "$ETCD_INITIAL_CLUSTER_TOKEN" ]; then
    echo new
  else
    echo away
  fi
}

# At the port for members, to members only: this one has no data. Several may ask at once, and an etcd that is up already keeps
# its connection, so a server is needed that serves many.
beacon=
light() {
  work=$(mktemp -d)
  (umask 077 && cat "$ETCD_PEER_CERT_FILE" "$ETCD_PEER_KEY_FILE" > "$work/pair.pem")
  cat > "$work/beacon.cfg" << CONFIGURATION
global
  maxconn 100
defaults
  mode http
  timeout client 5s
  timeout http-request 5s
frontend beacon
  bind ${ETCD_LISTEN_PEER_URLS#https://} ssl crt $work/pair.pem ca-file $ETCD_PEER_TRUSTED_CA_FILE verify required
  http-request return status 200 content-type text/plain string "$ETCD_INITIAL_CLUSTER_TOKEN" if { path /new }
  http-request return status 404
CONFIGURATION
  haproxy -db -f "$work/beacon.cfg" >&2 &
  beacon=$!
}
put_out() {
  [ -n "$beacon" ] || return 0
  kill "$beacon" 2> /dev/null || true
  wait "$beacon" 2> /dev/null || true
  rm -rf "$work"
  beacon=
}
trap put_out EXIT

# Takes this member in anew where a majority of the others answers.
join() {
  local members wanted count=0 out=yes id name peer client
  # Only a majority answers this; the list of members comes from one alone as well.
  control get majority > /dev/null 2>&1 || return
  members=$(control member list 2> /dev/null) || return
  IFS=, read -ra wanted <<< "$ETCD_INITIAL_CLUSTER"
  # Of each: number, state, name, address for members, address for clients. The latter is empty before its first start; then it
  # begins with the cluster, as its configuration says. Without a name it was added by hand.
  while IFS=, read -r id _ name peer client _; do
    count=$((count + 1))
    [ "${peer# }" = "$ETCD_INITIAL_ADVERTISE_PEER_URLS" ] || continue
    out=
    if [ -n "${client# }" ]; then
      echo "the data of this member are gone, and the others know it: it leaves and joins anew" >&2
      control member remove "$id" || exit 1
      count=$((count - 1)) out=yes
    elif [ -z "${name# }" ]; then
      export ETCD_INITIAL_CLUSTER_STATE=existing
    fi
  done <<< "$members"
  # A cluster begins with all its members. One that is missing has left it, perhaps in a start that was cut short here. If it
  # began anew under its old number, etcd would refuse it for good. A full cluster is left alone: somebody else is in its place.
  if [ -n "$out" ] && [ "$count" -lt "${#wanted[@]}" ]; then
    control member add "$ETCD_NAME" --peer-urls="$ETCD_INITIAL_ADVERTISE_PEER_URLS" > /dev/null || exit 1
    export ETCD_INITIAL_CLUSTER_STATE=existing
  fi
}

# Whether nobody can have data of this cluster. An operator vouches for those that are away with the file `begin`. While a
# majority runs, it is asked instead: an etcd that has just started may not know yet what it wrote.
all_new() {
  local one state known='' all=0
  away=() running=()
  for one in ${ETCD_INITIAL_CLUSTER//,/ }; do
    all=$((all + 1))
    [ "${one%%=*}" != "$ETCD_NAME" ] || continue
    state=$(state_of "${one#*=}")
    case $state in
      away) away+=("${one%%=*}") ;;
      begins) running+=("${one%%=*}") ;;
      knows) running+=("${one%%=*}") known=yes ;;
    esac
  done
  [ -z "$known" ] || return
  [ ${#running[@]} -le $((all / 2)) ] || return
  [ ${#away[@]} = 0 ] || [ -e "$ETCD_DATA_DIR/begin" ]
}

if [ ! -e "$ETCD_DATA_DIR/member" ]; then
  light
  # Twice in a row, for the same reason.
  until all_new && sleep 1 && all_new; do
    if [ ${#running[@]} != 0 ] && join; then break; fi
    if [ $SECONDS -ge "${WAIT_SECONDS:-300}" ]; then
      echo "this member has no data, and does not begin alone: ${away[*]+away: ${away[*]}; }${running[*]+up without a majority: ${running[*]}; }bring these hosts up, or see: docs/runbooks.md, a lost quorum" >&2
      exit 1
    fi
    kill -0 "$beacon" 2> /dev/null || {
      echo "nobody can learn that this member has no data: HAProxy does not listen at ${ETCD_LISTEN_PEER_URLS#https://}; its reason stands above" >&2
      exit 1
    }
    sleep 1
  done
  put_out
  rm -f "$ETCD_DATA_DIR/begin"
fi
exec etcd
