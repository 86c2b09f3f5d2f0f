# shellcheck shell=bash
# slipway-health wait SECONDS PROBE...                      ends when the probe passes for the first time
# slipway-health once SECONDS PROBE...                      passes or fails
# slipway-health watch SECONDS INTERVAL RETRIES PROBE...    fails when it has failed RETRIES times in a row
#
# PROBE is `http ADDRESS PATH`, `tcp ADDRESS` or `command WORD...`; ADDRESS is HOST:PORT or unix:PATH. SECONDS is the time of
# one attempt.
mode=$1 seconds=$2
shift 2

# Says what is wrong when it fails.
attempt() {
  local what=$1 address=${2-}
  case $what:$address in
    http:unix:*) ask --unix-socket "${address#unix:}" "http://localhost$3" ;;
    http:*) ask "http://$address$3" ;;
    tcp:unix:*) nc -z -U "${address#unix:}" || refused "$address" ;;
    tcp:*) nc -z -w "$seconds" "${address%:*}" "${address##*:}" || refused "$address" ;;
    command:*) timeout --kill-after 1 "$seconds" "${@:2}" ;;
  esac
}

# Neither the settings of a user nor the program's variables for proxies count.
ask() {
  curl --disable --noproxy '*' --globoff --silent --show-error --fail --max-time "$seconds" --output /dev/null "$@"
}

refused() {
  echo "$1 takes no connection"
  return 1
}

case $mode in
  wait)
    # Whichever signal the program is stopped by.
    trap 'echo "health.ready does not pass: ${why-}" >&2; exit 1' TERM INT QUIT HUP USR1 USR2 WINCH
    until why=$(attempt "$@" 2>&1); do
      if ! kill -0 "$MAINPID" 2>/dev/null; then
        echo "the program ended before health.ready passed" >&2
        exit 1
      fi
      sleep 0.2
    done
    ;;
  once) attempt "$@" ;;
  watch)
    interval=$1 retries=$2 failed=0
    shift 2
    while [ "$failed" -lt "$retries" ]; do
      sleep "$interval"
      if why=$(attempt "$@" 2>&1); then
        failed=0
      else
        failed=$((failed + 1))
        echo "health.live fails ($failed of $retries): $why" >&2
      fi
    done
    exit 1
    ;;
esac
