# slipway-cluster status | members | check | step-aside [SECONDS] | come-back [SECONDS]
# shellcheck shell=bash
aside=/run/slipway-patroni/conf/50-aside.yaml

die() {
  printf 'slipway-cluster: %s\n' "$1" >&2
  exit 1
}
ask() { curl --silent --fail --max-time 5 --cacert "$AUTHORITY" "$@"; }
# What the members say of each other, by any that answers.
members() {
  local url answer
  for url in $URLS; do
    if answer=$(ask "$url/cluster"); then
      jq -c .members <<< "$answer"
      return
    fi
  done
  return 1
}
# jq's expression over the members; me is this one.
about() { jq -r --arg me "$MEMBER" "$1" <<< "$now"; }
look() { now=$(members) || now='[]'; }
running='(.state == "running" or .state == "streaming")'

# until_true SECONDS EXPRESSION WHAT: looks once a second.
until_true() {
  local end=$((SECONDS + $1))
  while look && [ "$(about "$2")" != true ]; do
    [ $SECONDS -lt $end ] || return 1
    [ $(((end - SECONDS) % 30)) != 0 ] || echo "waiting: $3"
    sleep 1
  done
}
reload() { systemctl reload slipway-patroni.service; }
return_now() {
  [ -e "$aside" ] || return 0
  rm -f "$aside"
  reload
}

switchover() {
  local candidate body
  candidate=$(about "([.[] | select(.name != \$me and $running)] | sort_by(.role != \"sync_standby\", .lag)) | .[0].name // empty")
  [ -n "$candidate" ] || die "no other member can lead; see: slipway-cluster status"
  echo "$MEMBER leads; handing over to $candidate"
  body=$(jq -nc --arg leader "$MEMBER" --arg candidate "$candidate" '{leader: $leader, candidate: $candidate}')
  operator "$PASSWORD_FILE" --max-time 60 --data "$body" "${URLS%% *}/switchover" || true
  echo
}

# Says that this member is about to go, unless another one said so: two at once would take the majority with them. Of two that
# say it in one moment both take it back, and the one that is later in the list tries again later.
claim() {
  local end=$1 others member place=0 others_of='[.[] | select(.name != $me and .tags.slipway_aside == true) | .name] | join(" and ")'
  for member in $MEMBERS; do
    place=$((place + 1))
    [ "$member" != "$MEMBER" ] || break
  done
  while :; do
    until_true $((end - SECONDS)) 'all(.[]; .name == $me or (.tags.slipway_aside | not))' "the other member that is about to go to be back" \
      || die "$(about "$others_of") is about to go as well, and two members at once would take the majority with them; give these hosts to one after the other (max_unavailable 1), or wait for: slipway-cluster come-back"
    printf 'tags:\n  nosync: true\n  slipway_aside: true\n' > "$aside"
    chmod 0644 "$aside"
    reload
    until_true 60 'any(.[]; .name == $me and .tags.slipway_aside == true)' "Patroni of $MEMBER to say that it goes" || {
      return_now
      die "Patroni of this member does not answer or does not take its configuration; see: systemctl status slipway-patroni"
    }
    others=$(about "$others_of")
    [ -n "$others" ] || return 0
    return_now
    sleep $((place * 10))
  done
}

step_aside() {
  local limit=$1 end=$((SECONDS + $1))
  # shellcheck disable=SC2086 # names of units
  restarts $UNITS || {
    echo "nothing of this member restarts, so it goes on as it is"
    return
  }
  # If nobody takes it back, as after a failed activation or a kill of this program, it comes back by itself. So the timer is
  # there before the tag is, and one of an earlier time does not end this one.
  systemctl stop slipway-cluster-come-back.timer slipway-cluster-come-back.service 2> /dev/null || true
  systemd-run --quiet --on-active=30min --unit=slipway-cluster-come-back --collect "$0" come-back \
    || die "systemd does not take the timer that brings $MEMBER back; see: systemctl status slipway-cluster-come-back.timer"
  claim "$end"
  for member in $MEMBERS; do
    [ "$member" = "$MEMBER" ] && continue
    until_true $((end - SECONDS < 60 ? end - SECONDS : 60)) "any(.[]; .name == \"$member\" and $running)" "$member to run" || {
      return_now
      die "$member does not run ($(about "[.[] | select(.name == \"$member\") | .state] | .[0] // \"not in the cluster\"")), and without $MEMBER as well the majority would be gone; bring it back first: docs/runbooks.md"
    }
  done
  if [ "$(about 'any(.[]; .name == $me and .role == "leader")')" = true ]; then
    switchover
    until_true $((end - SECONDS)) "any(.[]; .role == \"leader\" and .name != \$me and .state == \"running\")" "another member to lead" || {
      return_now
      die "no other member leads after $limit seconds; this one goes on; see: slipway-cluster status"
    }
  fi
  if [ "$SYNCHRONOUS" != off ]; then
    until_true $((end - SECONDS)) "any(.[]; (.role == \"sync_standby\" or .role == \"quorum_standby\") and .name != \$me)" "another member to be the synchronous standby" || {
      return_now
      die "no other member is a synchronous standby after $limit seconds, so commits would wait; see: slipway-cluster status"
    }
  fi
  echo "$(about '.[] | select(.role == "leader") | .name') leads, and $MEMBER can go"
}

come_back() {
  systemctl stop slipway-cluster-come-back.timer 2> /dev/null || true
  return_now
  until_true "$1" "any(.[]; .name == \$me and (.tags.slipway_aside | not) and (.role == \"leader\" and .state == \"running\" or ($running and (.lag | type == \"number\") and .lag < $LAG)))" "$MEMBER to catch up" \
    || die "$MEMBER has not caught up after $1 seconds; the next host must wait; see: slipway-cluster status, journalctl -u slipway-patroni"
  if [ "$SYNCHRONOUS" != off ]; then
    until_true 120 'any(.[]; .role == "sync_standby" or .role == "quorum_standby")' "a synchronous standby" \
      || die "no member is a synchronous standby after two minutes; see: slipway-cluster status"
  fi
  echo "$MEMBER is back"
}

case "${1-}" in
  status)
    now=$(members) || die "no member answers on $URLS"
    about '.[] | "\(.name)\t\(.role)\t\(.state)\ttimeline \(.timeline // "?")\tlag \(.lag // 0)\(if .tags.slipway_aside then "\tsteps aside" else "" end)\(if .pending_restart then "\tneeds a restart for its settings" else "" end)"'
    for member in $MEMBERS; do
      [ "$(about "any(.[]; .name == \"$member\")")" = true ] || printf '%s\tnot in the cluster\n' "$member"
    done
    ;;
  # For the agent's facts.
  members) members || die "no member answers on $URLS" ;;
  check)
    answer=$(ask "${URLS%% *}/patroni") || die "Patroni of $MEMBER does not answer, or Postgres does not run; see: systemctl status slipway-patroni"
    state=$(jq -r .state <<< "$answer")
    [ "$state" = running ] || [ "$state" = streaming ] || die "Postgres of $MEMBER is $state"
    ;;
  step-aside) step_aside "${2:-600}" ;;
  come-back) come_back "${2:-600}" ;;
  *) die "usage: slipway-cluster status | members | check | step-aside [SECONDS] | come-back [SECONDS]" ;;
esac
