# Watches the free space of this member's database. Patroni takes a server whose disk is full for a healthy one, so writes
# would stop for as long as it is full. A member says by the tag `slipway_disk` whether it has room, and a leader without
# room hands over to a standby with room. If there is none, it says so and goes on.
#
# Variables: MEMBER, URL of its Patroni, DATA, TAGS (a file of Patroni's configuration), LOW_MIB, SYNCHRONOUS, INTERVAL,
# RETRY and HOLD (seconds), PASSWORD_FILE, and what operator.sh takes.
# shellcheck shell=bash
running='(.state == "running" or .state == "streaming")'
state=ok
room=
now='{}'
told=
reloaded=
next=0

# Each thing once, though it looks again and again.
say() {
  [ "$told" != "$1" ] || return 0
  told=$1
  printf '%s\n' "$1"
}
about() { jq -r --arg me "$MEMBER" --arg synchronous "$SYNCHRONOUS" "$1" <<< "$now"; }

# MiB where there is least: WAL and tablespaces can have disks of their own. A disk that hangs gives no answer.
free_mib() {
  local kib
  kib=$({ timeout 10 df -k --output=avail -- "$DATA" "$DATA/pg_wal" "$DATA"/pg_tblspc/* 2> /dev/null || true; } \
    | grep -x ' *[0-9]*' | sort -n | head -n 1) || return
  echo $((kib / 1024))
}

# Between the two bounds it stays what it was.
judge() {
  if [ "$room" -lt "$LOW_MIB" ]; then
    state=low
  elif [ "$room" -ge $((LOW_MIB + LOW_MIB / 4)) ]; then
    state=ok
  fi
}

# Tells Patroni, which forgets it when it starts again. A standby without room leaves it to one with room to be the
# synchronous one, since only that one can lead. If all are alike, commits go on being on two hosts.
tag() {
  local want
  want=$(printf 'tags:\n  slipway_disk: %s' "$state")
  if [ "$state" = low ] && [ "$(about "any(.members[]?; .name == \$me and .role != \"leader\") and any(.members[]?; .name != \$me and .role != \"leader\" and .tags.slipway_disk == \"ok\" and (.tags.slipway_aside | not) and $running)")" = true ]; then
    want=$(printf '%s\n  nosync: true' "$want")
  fi
  if [ "$(cat "$TAGS" 2> /dev/null)" != "$want" ]; then
    # Without the folder, Patroni has not started yet.
    [ -d "$(dirname "$TAGS")" ] || return 0
    printf '%s\n' "$want" > "$TAGS.new"
    mv "$TAGS.new" "$TAGS"
    reloaded=
  fi
  if [ "$reloaded" != "$want" ] && operator "$PASSWORD_FILE" --fail --max-time 5 --data '{}' "$URL/reload" > /dev/null 2>&1; then
    reloaded=$want
  fi
}

hand_over() {
  local candidate body answer
  local has="$MEMBER has $room MiB free for its database, less than $LOW_MIB"
  if [ "$(about '.pause == true')" = true ]; then
    say "$has, and the cluster is paused: it goes on"
    return
  fi
  candidate=$(about "[.members[]? | select(.name != \$me and $running and .tags.slipway_disk == \"ok\" and (.tags.slipway_aside | not)
    and (\$synchronous == \"off\" or .role == \"sync_standby\" or .role == \"quorum_standby\"))] | sort_by(.lag) | .[0].name // empty")
  if [ -z "$candidate" ]; then
    say "$MEMBER leads with less than $LOW_MIB MiB free for its database, and no standby that could lead says that it has more: it goes on; free space on its disk"
    return
  fi
  # It stays the leader if Patroni refuses, and after it handed over it does not do so again soon, whatever comes back.
  [ $SECONDS -ge $next ] || return 0
  say "$has: it hands over to $candidate, which has more"
  body=$(jq -nc --arg leader "$MEMBER" --arg candidate "$candidate" '{leader: $leader, candidate: $candidate}')
  answer=$(operator "$PASSWORD_FILE" --max-time 60 --write-out ' (%{http_code})' --data "$body" "$URL/switchover" 2>&1) || true
  case $answer in
    *" (200)") next=$((SECONDS + HOLD)) ;;
    *) next=$((SECONDS + RETRY)) ;;
  esac
  say "Patroni: $answer"
}

while :; do
  room=$(free_mib) || room=
  if [ -n "$room" ]; then
    judge
    # With room there is nothing to ask.
    now='{}'
    [ "$state" = ok ] || now=$(curl --silent --fail --max-time 5 --cacert "$AUTHORITY" "$URL/cluster") || now='{}'
    tag
    if [ "$state" = ok ]; then
      [ -z "$told" ] || say "$MEMBER has $room MiB free for its database"
      told=
    elif [ "$(about 'any(.members[]?; .name == $me and .role == "leader")')" = true ]; then
      hand_over
    else
      say "$MEMBER has less than $LOW_MIB MiB free for its database, so it should not lead"
    fi
  else
    say "the free space of $DATA cannot be read"
  fi
  sleep "$INTERVAL"
done
