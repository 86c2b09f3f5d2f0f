# shellcheck shell=bash
# slipway-audit-anchor-shown known|sent FOLDER SECONDS: writes when a head was last taken, as metrics. `known` only writes where
# nothing was written yet: from then on a first head is waited for.
word=$1 folder=$2 late=$3
file=$folder/anchor.prom
if [ "$word" = known ] && [ -s "$file" ]; then exit 0; fi
mkdir -p "$folder"
{
  echo '# HELP slipway_anchor_sent_timestamp_seconds When a head of the audit log was last taken elsewhere, since 1970.'
  echo '# TYPE slipway_anchor_sent_timestamp_seconds gauge'
  echo "slipway_anchor_sent_timestamp_seconds $(date +%s)"
  echo '# HELP slipway_anchor_late_after_seconds After how many seconds a head is late.'
  echo '# TYPE slipway_anchor_late_after_seconds gauge'
  echo "slipway_anchor_late_after_seconds $late"
} >"$file.new"
mv "$file.new" "$file"
