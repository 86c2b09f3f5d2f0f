# shellcheck shell=bash
# slipway-roll PLAN: restarts a stack's processes with the units that systemd has loaded, one after another.
#
# PLAN has a line for each: kind (database, job or service), the service's name, unit, the unit's file in the store, and
# USER:GROUP of the socket that systemd opens for it, or `-`. For each updated process $RUNTIME_DIRECTORY
# records its run (InvocationID), its unit and its secrets. So a process is not restarted if it is the same run, or
# began after systemd last loaded its units.
plan=$1
state=$RUNTIME_DIRECTORY
read -ra secret_files <<<"$ROLL_SECRETS"

# Changed contents count, not changed dates: a decrypting tool may write the files again at every switch.
digest() {
  if [ "${#secret_files[@]}" -gt 0 ]; then sha256sum -- "${secret_files[@]}" | sha256sum | cut -d ' ' -f 1; else echo none; fi
}

secrets_newer_than() {
  [ "${#secret_files[@]}" -gt 0 ] && [ -n "$(find -L "${secret_files[@]}" -newermt "$1")" ]
}

# What systemd says about a unit, into $active, $run, $started (of this boot, in microseconds) and $started_at (@seconds).
look() {
  local name value
  active='' run='' started=0 started_at=@0
  while IFS='=' read -r name value; do
    case $name in
      ActiveState) active=$value ;;
      InvocationID) run=$value ;;
      ExecMainStartTimestampMonotonic) started=$value ;;
      ExecMainStartTimestamp) started_at=$value ;;
    esac
  done < <(systemctl show --timestamp=unix "$1" \
    --property ActiveState,InvocationID,ExecMainStartTimestampMonotonic,ExecMainStartTimestamp)
}

socket_of() {
  local replica=${1%.*}
  echo "/run/slipway/$ROLL_STACK/${replica#"$ROLL_STACK-"}.sock"
}

record() {
  look "$1"
  echo "$run $2 $secrets" >"$state/$1"
}

# Whether the unit must restart. Accepts a process that already has the loaded unit, as after boot.
stale() {
  local unit=$1 file=$2 known=
  look "$unit"
  [ "$active" = active ] || return 0
  if [ -e "$state/$unit" ]; then known=$(<"$state/$unit"); fi
  if [ "$known" = "$run $file $secrets" ]; then return 1; fi
  if [ "${known%% *}" != "$run" ] && [ "$started" -gt "$loaded" ] && ! secrets_newer_than "$started_at"; then
    record "$unit" "$file"
    return 1
  fi
  return 0
}

explain() {
  local unit=$1
  local why="$2; see: journalctl --unit $unit"
  echo "$why" >&2
  systemctl status --no-pager --lines 5 "$unit" >&2 || true
  if [ -e "$state/rolled" ]; then printf '%s\n' "$loaded $secrets" "$why" >"$state/failed"; fi
}

# No run has succeeded since boot: something missing, such as a database on another host, may still appear. systemd repeats
# the unit after this status (roll.nix).
leave() {
  if [ -e "$state/rolled" ]; then exit 1; else exit 75; fi
}

give_up() {
  explain "$@"
  leave
}

restart() {
  local unit=$1 file=$2
  rm -f "$state/$unit"
  systemctl restart "$unit" || give_up "$unit" "$unit did not come up"
  record "$unit" "$file"
  echo "$unit is up to date"
}

# Waits for a running migration. If it were killed, the server would go on with its statement, and its lock would block
# the next migration. It has its own time limit (TimeoutStartSec).
await() {
  while look "$1" && [ "$active" = activating ]; do sleep 0.5; done
}

# Whether a process of the stack must restart.
any_stale() {
  local kind unit file
  while read -r kind _ unit file _; do
    if [ "$kind" = service ] && stale "$unit.service" "$file"; then return 0; fi
  done <"$plan"
  return 1
}

# Going back while the database is away: the running processes are already the old ones, and the last successful run of
# the job is theirs. So nothing is missing.
run_job() {
  local unit=$1 file=$2 applied=
  rm -f "$state/$unit"
  if [ -e "$state/$unit.done" ]; then applied=$(<"$state/$unit.done"); fi
  if systemctl restart "$unit"; then
    record "$unit" "$file"
    echo "$file" >"$state/$unit.done"
    echo "$unit is up to date"
  elif [ "$applied" = "$file" ] && ! any_stale; then
    systemctl reset-failed "$unit"
    echo "$unit failed, and is not needed: it succeeded before, and no process changes" >&2
  else
    give_up "$unit" "$unit did not come up"
  fi
}

# Starts one more process of the new unit beside the serving ones, so that a failing start shows before any stop.
try() {
  local service=$1 owner=$2 trial=$ROLL_STACK-$1-trial units
  case " $ROLL_TRIALS " in *" $service "*) ;; *) return 0 ;; esac
  units=("$trial.service")
  if [ "$owner" != - ]; then units+=("$trial.socket"); fi
  if ! systemctl restart "$trial.service"; then
    systemctl stop "${units[@]}"
    explain "$trial.service" "a new $service does not become ready, so no replica was touched"
    # This unit now reports the failure: nobody would start the trial again to clear it.
    systemctl reset-failed "$trial.service"
    leave
  fi
  systemctl stop "${units[@]}"
  echo "the new $service becomes ready"
}

loaded=$(systemctl show --value --property UnitsLoadTimestampMonotonic)
secrets=$(digest)

# A switch first restarts this unit and then starts the target that wants it. One run is enough, unless a secret was
# corrected in between.
if [ -e "$state/failed" ]; then
  { read -r since && read -r why; } <"$state/failed"
  if [ "$since" = "$loaded $secrets" ] && [ -n "$(find "$state/failed" -newermt '15 seconds ago')" ]; then
    echo "$why" >&2
    exit 1
  fi
  rm -f "$state/failed"
fi

while read -r kind _ unit file _; do
  case $kind in
    database)
      await "$unit.service"
      if stale "$unit.service" "$file"; then restart "$unit.service" "$file"; fi
      ;;
    job)
      await "$unit.service"
      if stale "$unit.service" "$file"; then run_job "$unit.service" "$file"; else echo "$file" >"$state/$unit.service.done"; fi
      ;;
  esac
done <"$plan"

mapfile -t services < <(sed -n 's/^service \([^ ]*\) .*/\1/p' "$plan" | uniq)
for service in "${services[@]}"; do
  todo=() replaced=
  while read -r kind of unit file owner; do
    if [ "$kind" = service ] && [ "$of" = "$service" ] && stale "$unit.service" "$file"; then
      todo+=("$unit.service $file $owner")
      if [ "$active" = active ]; then replaced=$owner; fi
    fi
  done <"$plan"
  if [ -n "$replaced" ]; then try "$service" "$replaced"; fi
  for line in "${todo[@]}"; do
    read -r unit file owner <<<"$line"
    # systemd does not change the owner of an open socket.
    socket=$(socket_of "$unit")
    if [ "$owner" != - ] && [ -S "$socket" ]; then chown "$owner" "$socket"; fi
    restart "$unit" "$file"
  done
done

# Stops replicas that the generation no longer has. This is the last step, since the proxy must know first. A switch reloads
# the proxy after this unit, and the proxy only retries for a limited time.
gone=()
# Those that a run has recorded: other stacks' names may begin alike.
for known in "$state"/"$ROLL_STACK"-*.service; do
  unit=${known##*/}
  if [ ! -e "$known" ] || grep -q " ${unit%.service} " "$plan"; then continue; fi
  rm -f "$known"
  [[ $unit =~ -[0-9]+\.service$ ]] || continue
  gone+=("$unit")
  if systemctl --quiet is-active "${unit%.service}.socket"; then gone+=("${unit%.service}.socket"); fi
done
if [ "${#gone[@]}" -gt 0 ]; then
  read -ra reloads <<<"$ROLL_RELOADS"
  if [ "${#reloads[@]}" -gt 0 ] && systemctl --quiet is-active "${reloads[@]}"; then
    systemctl reload "${reloads[@]}" || echo "${reloads[*]}: not reloaded" >&2
    # The reload is a signal; the old workers accept connections until the new ones do.
    sleep 1
  fi
  systemctl stop "${gone[@]}"
  # With the unit's file gone, systemd has forgotten to remove the socket.
  for unit in "${gone[@]}"; do rm -f "$(socket_of "$unit")"; done
  echo "no more: ${gone[*]}"
fi
touch "$state/rolled"
