#!/bin/sh
# A small version of the script of this name in a NixOS system: one host, one service.
#   test    replaces the running service and moves the live link; a reboot would undo it
#   boot    makes this closure the one that the next boot starts
#   switch  both
set -eu
# closure.nix replaces the names between @s.
# shellcheck disable=SC2123
PATH='@tools@'
SLIPWAY_DEV_RUN='@run@'
export PATH SLIPWAY_DEV_RUN
state='@state@'

say() { printf '%s\n' "switch-to-configuration @host@ @version@: $*" >&2; }
die() {
  say "$*"
  exit 1
}

# mv -T renames over the old link: a reader sees the old closure or the new one, never none.
point() {
  ln -sfn '@out@' "$state/.$1.$$"
  mv -T "$state/.$1.$$" "$state/$1"
}

# Each program is started without the lock's descriptor, or a service that outlives us would hold the lock.
activate() {
  # shellcheck disable=SC2194
  case '@variant@' in
    fails) die 'this closure is made to fail' ;;
    hangs) sleep 3600 9>&- ;;
    # Slowly, so that somebody can follow it; and then far too much.
    prints)
      for step in 1 2 3 4 5 6; do
        printf '\033[1;32mstep %s\033[0m\n' "$step"
        sleep 0.7 9>&-
      done
      line=0
      while [ "$line" -lt 30000 ]; do
        line=$((line + 1))
        echo "line $line of a flood that nobody wants to read to its end, since it says nothing"
      done
      ;;
  esac
  '@program@' stop --state "$state" 9>&- || die 'the running service does not stop'
  point current-system
  setsid --fork '@program@' serve --state "$state" --listen '@address@' --version '@version@' \
    --health '@health@' --closure '@out@' </dev/null >>"$state/service.log" 2>&1 9>&-
  '@program@' wait --state "$state" --closure '@out@' 9>&- || die 'the service does not start'
  say 'the service is running'
}

case "${1-}" in
  test | boot | switch) ;;
  *) die 'say test, boot or switch' ;;
esac
mkdir -p "$state"
exec 9>"$state/switch.lock"
flock -w 10 9 || die 'another switch of this host is still running'
if [ "$1" != boot ]; then activate; fi
if [ "$1" != test ]; then point boot-system; fi
