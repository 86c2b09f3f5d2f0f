# shellcheck shell=bash
# calendars.sh [OPTION CALENDAR]…: has systemd read each calendar, and refuses one that it cannot read or that never comes.
set -euo pipefail

while [ $# -ge 2 ]; do
  option=$1 calendar=$2
  shift 2
  # From a fixed time, so that the same system builds in every year.
  if ! read=$(LC_ALL=C systemd-analyze calendar --base-time='2026-01-01 00:00:00 UTC' -- "$calendar" 2>&1); then
    echo "$option: systemd cannot read \"$calendar\"; write it as \"*-*-* 02:15:00\" (man systemd.time)" >&2
    echo "$read" >&2
    exit 1
  fi
  if [[ $read == *'Next elapse: never'* ]]; then
    echo "$option: \"$calendar\" never comes; give a day that the calendar has, in 2026 or later" >&2
    exit 1
  fi
done
