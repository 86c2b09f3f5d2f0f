# slipway-roll PLAN: brings a stack's processes to the units that systemd has loaded, one after another.
#
# PLAN has a line for each: role, unit, the unit's file in the store. For each process that was brought up to date it is
# written down in $RUNTIME_DIRECTORY which run (InvocationID) was of which unit and which secrets. So a process is left
# alone exactly when it is the same run, or began after systemd loaded its units last.
plan=$1
state=$RUNTIME_DIRECTORY

show() { systemctl show --value --property "$2" "$1"; }

# Changed contents, not changed dates, roll: what decrypts secrets may write them anew on every switch.
digest() {
  # shellcheck disable=SC2086 # a list of paths without blanks
  if [ -n "$ROLL_SECRETS" ]; then sha256sum -- $ROLL_SECRETS | sha256sum | cut -d ' ' -f 1; else echo none; fi
}

record() { echo "$(show "$1" InvocationID) $2 $secrets" >"$state/$1"; }

secrets_newer_than() {
  # shellcheck disable=SC2086
  [ -n "$ROLL_SECRETS" ] && [ -n "$(find -L $ROLL_SECRETS -newermt "$1")" ]
}

# Whether the unit must be started anew. Adopts one that is of the loaded unit without our doing.
stale() {
  local unit=$1 file=$2 invocation started
  [ "$(show "$unit" ActiveState)" = active ] || return 0
  invocation=$(show "$unit" InvocationID)
  if [ "$(cat "$state/$unit" 2>/dev/null)" = "$invocation $file $secrets" ]; then return 1; fi
  started=$(show "$unit" ExecMainStartTimestampMonotonic)
  if [ "$started" -gt "$loaded" ] \
    && ! grep -qs "^$invocation " "$state/$unit" \
    && ! secrets_newer_than "$(systemctl show --timestamp=unix --value --property ExecMainStartTimestamp "$unit")"; then
    record "$unit" "$file"
    return 1
  fi
  return 0
}

restart() {
  local unit=$1 file=$2
  rm -f "$state/$unit"
  if ! systemctl restart "$unit"; then
    echo "$unit did not come up; see: journalctl --unit $unit" >&2
    systemctl status --no-pager --lines 5 "$unit" >&2 || true
    exit 1
  fi
  record "$unit" "$file"
  echo "$unit is up to date"
}

# One more of the new unit, beside those that serve: what cannot start is found out before anything is stopped.
try() {
  local role=$1 unit=$ROLL_STACK-$1-trial.service
  case " $ROLL_TRIALS " in *" $role "*) ;; *) return 0 ;; esac
  if ! systemctl restart "$unit"; then
    echo "a new $role does not become ready, so no replica was touched; see: journalctl --unit $unit" >&2
    systemctl status --no-pager --lines 5 "$unit" >&2 || true
    systemctl stop "${unit%.service}.socket" 2>/dev/null || true
    exit 1
  fi
  systemctl stop "$unit"
  systemctl stop "${unit%.service}.socket" 2>/dev/null || true
  echo "the new $role becomes ready"
}

loaded=$(systemctl show --value --property UnitsLoadTimestampMonotonic)
secrets=$(digest)

while read -r role unit file; do
  if [ "$role" = migrate ] && stale "$unit.service" "$file"; then restart "$unit.service" "$file"; fi
done <"$plan"

for role in api worker; do
  mapfile -t lines < <(grep "^$role " "$plan")
  todo=() replaced=
  for line in "${lines[@]}"; do
    read -r _ unit file <<<"$line"
    if stale "$unit.service" "$file"; then
      todo+=("$unit.service $file")
      if [ "$(show "$unit.service" ActiveState)" = active ]; then replaced=1; fi
    fi
  done
  if [ -n "$replaced" ]; then try "$role"; fi
  for line in "${todo[@]}"; do
    read -r unit file <<<"$line"
    # systemd gives a socket that is open already no new owner.
    socket=/run/slipway/$ROLL_STACK/${unit#"$ROLL_STACK-"}
    socket=${socket%.service}.sock
    if [ -S "$socket" ]; then chown "$ROLL_SOCKET_OWNER" "$socket"; fi
    restart "$unit" "$file"
  done
done

# Replicas that the generation has no more; by now whoever spread the load knows that they go.
systemctl list-units --all --plain --no-legend --full --type service,socket "$ROLL_STACK-*" | while read -r unit _; do
  [[ $unit =~ ^"$ROLL_STACK"-(api|worker)-[0-9]+\.(service|socket)$ ]] || continue
  if ! grep -q " ${unit%.*} " "$plan"; then
    systemctl stop "$unit"
    rm -f "$state/$unit"
    echo "$unit is no more"
  fi
done
