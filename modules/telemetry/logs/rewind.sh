# shellcheck shell=bash
# slipway-logs-rewind start|stop MOST: after a kill or a power cut, the shipper reads its last batch of the journal again.
#
# Fluent Bit notes its place before it has stored what it read (in_systemd, 4.2 and 5.1). A kill in between would lose up to
# MOST lines, which is one batch.
database=$STATE_DIRECTORY/journal.db
running=$STATE_DIRECTORY/running

case $1 in
stop)
  # A crash is left out: the line that causes it would be read for ever. An error at the start has read nothing.
  case ${SERVICE_RESULT-} in
  success | exit-code | core-dump) rm -f "$running" ;;
  esac
  ;;
start)
  if [ -e "$running" ] && [ -s "$database" ]; then
    place=$(sqlite3 "$database" 'SELECT cursor FROM in_systemd_cursor LIMIT 1')
    if [ -n "$place" ]; then
      earlier=$(journalctl --quiet --reverse --cursor="$place" --lines=$(($2 + 1)) --output=export --output-fields=_BOOT_ID |
        sed -n 's/^__CURSOR=//p' | tail -n 1)
      # Only a cursor's own letters: it becomes part of a statement.
      if [[ $earlier =~ ^[a-z0-9=\;-]+$ ]]; then
        sqlite3 "$database" "UPDATE in_systemd_cursor SET cursor = '$earlier'"
        echo "the last run was cut off: up to $2 lines are sent again"
      fi
    fi
  fi
  touch "$running"
  ;;
esac
