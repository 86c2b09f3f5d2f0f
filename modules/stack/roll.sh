# shellcheck shell=bash
# slipway-roll PLAN: restarts a stack's processes with the units that systemd has loaded, one after another.
#
# PLAN has a line for each: kind (database, job, service or stand-in), the service's name, unit, the unit's file in the
# store, what the service listens on, USER:GROUP of the socket that systemd opens for it, or `-`, and the files of its
# secrets. A line of the kind address has the service's name and where it takes requests, its stand-in included.
#
# For each updated process $RUNTIME_DIRECTORY records its run (InvocationID), its unit and its secrets. So a process is not
# restarted if it is the same run, or began after systemd last loaded its units.
plan=$1
state=$RUNTIME_DIRECTORY
# By unit: its secrets, and a digest of their contents. A decrypting tool may write the files again at every switch.
declare -A files digests

digest() {
  if [ $# -gt 0 ]; then sha256sum -- "$@" | sha256sum | cut -d ' ' -f 1; else echo none; fi
}

secrets_newer_than() {
  local those
  read -ra those <<<"${files[$1]}"
  [ "${#those[@]}" -gt 0 ] && [ -n "$(find -L "${those[@]}" -newermt "$2")" ]
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
  echo "$run $2 ${digests[$1]}" >"$state/$1"
}

# Whether the unit must restart. Accepts a process that already has the loaded unit, as after boot.
stale() {
  local unit=$1 file=$2 known=
  look "$unit"
  [ "$active" = active ] || return 0
  if [ -e "$state/$unit" ]; then known=$(<"$state/$unit"); fi
  if [ "$known" = "$run $file ${digests[$unit]}" ]; then return 1; fi
  if [ "${known%% *}" != "$run" ] && [ "$started" -gt "$loaded" ] && ! secrets_newer_than "$unit" "$started_at"; then
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

# By service: the stand-in that runs, and its socket. If this script is killed, ExecStopPost stops them.
declare -A standing
dismiss() {
  local units
  read -ra units <<<"${standing[$1]}"
  systemctl stop "${units[@]}"
  # How it ended tells nothing about the replicas, and nobody would start it again to clear it.
  systemctl reset-failed "${units[0]}" 2>/dev/null || true
  unset "standing[$1]"
}

# No run has succeeded since boot: something missing, such as a database on another host, may still appear. systemd repeats
# the unit after this status (roll.nix).
leave() {
  local service
  for service in "${!standing[@]}"; do dismiss "$service"; done
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
    if [ "$kind" = service ] && stale "$unit" "$file"; then return 0; fi
  done <"$plan"
  return 1
}

# Going back while the database is away: the running processes are already the old ones, and the last successful run of
# the job is theirs. So nothing is missing.
run_job() {
  local unit=$1 file=$2 applied=
  rm -f "$state/$unit"
  if [ -e "$state/$unit.done" ]; then applied=$(<"$state/$unit.done"); fi
  # A restart would at once run the jobs after it as well, and the roll those that failed a second time.
  systemctl stop "$unit"
  if systemctl start "$unit"; then
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

# Starts one more process of the new unit beside the serving ones, so that a failing start shows before any stop. At a port
# or a socket of its own it is the proxy's spare server, and stays until the replicas are up to date.
stand_in() {
  local service=$1 unit='' listen=''
  read -r _ _ unit _ listen _ < <(grep "^stand-in $service " "$plan") || return 0
  standing[$service]=$unit
  if [ "$listen" = socket ]; then standing[$service]+=" ${unit%.service}.socket"; fi
  systemctl restart "$unit" || give_up "$unit" "a new $service does not become ready, so no replica was touched"
  echo "the new $service becomes ready"
  case $listen in tcp | unix) ;; *) dismiss "$service" ;; esac
}

# update SERVICE UNIT FILE OWNER: restarts one replica.
update() {
  local service=$1 unit=$2 file=$3 owner=$4 spare socket
  spare=${standing[$service]-}
  if [ -n "$spare" ] && ! systemctl --quiet is-active "$spare"; then
    give_up "$spare" "the new $service ended while it stood in, so $unit was not touched"
  fi
  # systemd does not change the owner of an open socket.
  socket=$(socket_of "$unit")
  if [ "$owner" != - ] && [ -S "$socket" ]; then chown "$owner" "$socket"; fi
  restart "$unit" "$file"
}

reload_proxy() {
  local units
  read -ra units <<<"$ROLL_RELOADS"
  if [ "${#units[@]}" -eq 0 ] || ! systemctl --quiet is-active "${units[@]}"; then return 0; fi
  systemctl reload "${units[@]}" || echo "${units[*]}: not reloaded" >&2
  # The reload is a signal; the old workers accept connections until the new ones do.
  sleep 1
}

# Whether a service that the proxy knows has moved: to another port, or to have a stand-in.
moved() {
  local service
  [ -e "$state/addresses" ] || return 1
  for service in "$@"; do
    if grep -q "^address $service " "$state/addresses" && ! grep -qxFf <(grep "^address $service " "$plan") "$state/addresses"; then
      return 0
    fi
  done
  return 1
}

loaded=$(systemctl show --value --property UnitsLoadTimestampMonotonic)
while read -r kind _ unit _ _ _ own; do
  if [ "$kind" = address ]; then continue; fi
  files[$unit]=$own
  read -ra those <<<"$own"
  digests[$unit]=$(digest "${those[@]}")
done <"$plan"
secrets=${digests[*]}

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
      await "$unit"
      if stale "$unit" "$file"; then restart "$unit" "$file"; fi
      ;;
    job)
      await "$unit"
      if stale "$unit" "$file"; then run_job "$unit" "$file"; else echo "$file" >"$state/$unit.done"; fi
      ;;
  esac
done <"$plan"

mapfile -t services < <(sed -n 's/^service \([^ ]*\) .*/\1/p' "$plan" | uniq)
# Those that must restart, a line for each: SERVICE UNIT FILE OWNER.
idle=() serving=()
while read -r kind service unit file _ owner _; do
  if [ "$kind" = service ] && stale "$unit" "$file"; then
    if [ "$active" = active ]; then serving+=("$service $unit $file $owner"); else idle+=("$service $unit $file $owner"); fi
  fi
done <"$plan"

# First all that nobody misses when it fails.
for service in "${services[@]}"; do
  if grep -q "^$service " <(printf '%s\n' "${serving[@]}"); then stand_in "$service"; fi
done
for line in "${idle[@]}"; do
  read -ra words <<<"$line"
  update "${words[@]}"
done

if moved "${services[@]}"; then reload_proxy; fi
for service in "${services[@]}"; do
  for line in "${serving[@]}"; do
    read -ra words <<<"$line"
    if [ "${words[0]}" = "$service" ]; then update "${words[@]}"; fi
  done
  if [ -z "${standing[$service]-}" ]; then continue; fi
  # What the stand-in took last may end before it does.
  sleep 1
  dismiss "$service"
done

# Stops replicas that the generation no longer has. This is the last step, since the proxy must know first. A switch reloads
# the proxy after this unit, and the proxy only retries for a limited time.
gone=()
# Those that a run has recorded: other stacks' names may begin alike.
for known in "$state"/"$ROLL_STACK"-*.service; do
  unit=${known##*/}
  if [ ! -e "$known" ] || grep -q " $unit " "$plan"; then continue; fi
  rm -f "$known"
  [[ $unit =~ -[0-9]+\.service$ ]] || continue
  gone+=("$unit")
  if systemctl --quiet is-active "${unit%.service}.socket"; then gone+=("${unit%.service}.socket"); fi
done
if [ "${#gone[@]}" -gt 0 ]; then
  reload_proxy
  systemctl stop "${gone[@]}"
  # With the unit's file gone, systemd has forgotten to remove the socket.
  for unit in "${gone[@]}"; do rm -f "$(socket_of "$unit")"; done
  echo "no more: ${gone[*]}"
fi
grep '^address ' "$plan" >"$state/addresses" || true
touch "$state/rolled"
