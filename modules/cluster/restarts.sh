# restarts UNIT…: whether the new generation, SLIPWAY_CLOSURE, restarts one of these units.
# shellcheck shell=bash

# A unit of a generation, without what only reloads it.
unit_in() { grep -v '^X-Reload-Triggers=' "$1/etc/systemd/system/$2" 2> /dev/null; }
restarts() {
  local unit
  [ -n "${SLIPWAY_CLOSURE-}" ] || return 0
  for unit; do
    [ "$(unit_in /run/current-system "$unit")" = "$(unit_in "$SLIPWAY_CLOSURE" "$unit")" ] || return 0
  done
  return 1
}
