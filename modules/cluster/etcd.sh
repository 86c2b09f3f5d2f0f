# Starts etcd. A member whose data are lost cannot go on under its old number: the others drop that one and take it in anew.
# shellcheck shell=bash
control() { etcdctl --endpoints="$OTHERS" --command-timeout=5s "$@"; }

if [ ! -e "$ETCD_DATA_DIR/member" ] && members=$(control member list 2> /dev/null); then
  IFS=, read -ra wanted <<< "$ETCD_INITIAL_CLUSTER"
  count=0 join=yes
  # Of each: number, state, name, address for members, address for clients. The latter is empty before its first start; then it
  # begins with the cluster, as its configuration says. Without a name it was added by hand.
  while IFS=, read -r id _ name peer client _; do
    count=$((count + 1))
    [ "${peer# }" = "$ETCD_INITIAL_ADVERTISE_PEER_URLS" ] || continue
    join=
    if [ -n "${client# }" ]; then
      echo "the data of this member are gone, and the others know it: it leaves and joins anew" >&2
      control member remove "$id"
      count=$((count - 1)) join=yes
    elif [ -z "${name# }" ]; then
      export ETCD_INITIAL_CLUSTER_STATE=existing
    fi
  done <<< "$members"
  # A cluster begins with all its members. One that is missing has left it, perhaps in a start that was cut short here. If it
  # began anew under its old number, etcd would refuse it for good. A full cluster is left alone: somebody else is in its place.
  if [ -n "$join" ] && [ "$count" -lt "${#wanted[@]}" ]; then
    control member add "$ETCD_NAME" --peer-urls="$ETCD_INITIAL_ADVERTISE_PEER_URLS" > /dev/null
    export ETCD_INITIAL_CLUSTER_STATE=existing
  fi
fi
exec etcd
