# Starts etcd. A member whose data are lost cannot go on under its old number: the others drop that one and take it in anew.
# shellcheck shell=bash
control() { etcdctl --endpoints="$OTHERS" --command-timeout=5s "$@"; }

if [ ! -e "$ETCD_DATA_DIR/member" ] && members=$(control member list --write-out=json 2> /dev/null); then
  # One that has never been started has no address for clients; it begins with the cluster, as its configuration says.
  old=$(jq -r --arg peer "$ETCD_INITIAL_ADVERTISE_PEER_URLS" '.members[] | select(.peerURLs[0] == $peer and (.clientURLs // [] | length) > 0) | .ID' <<< "$members")
  added=$(jq -r --arg peer "$ETCD_INITIAL_ADVERTISE_PEER_URLS" '.members[] | select(.peerURLs[0] == $peer and (.name // "") == "") | .ID' <<< "$members")
  if [ -n "$old" ]; then
    echo "the data of this member are gone, and the others know it: it leaves and joins anew" >&2
    control member remove "$(printf %x "$old")"
    control member add "$ETCD_NAME" --peer-urls="$ETCD_INITIAL_ADVERTISE_PEER_URLS" > /dev/null
  fi
  if [ -n "$old$added" ]; then export ETCD_INITIAL_CLUSTER_STATE=existing; fi
fi
exec etcd
