# shellcheck shell=bash
# Looks after the scheduled jobs of the stack $JOBS_STACK. Their units run them; this program remembers how that went.
#
#   slipway-jobs keep TABLE   starts what is due and no timer starts, and writes the metrics, for ever
#   slipway-jobs ended JOB    records a run that has ended, from $SERVICE_RESULT
#   slipway-jobs late JOB     fails while the job is late
#
# TABLE has a line for each job: its name, its unit, how often a failed run is tried again, the time limit of a run, seconds
# until it is late or `-`, seconds between two runs or `-`, and the calendar. All records survive a reboot.
records=/var/lib/slipway-jobs/$JOBS_STACK
shown=/run/slipway-jobs/$JOBS_STACK
retry_pause=60
look_every=15

# The record of a job: when it was first known, when its last run ended and how, when the last one succeeded, and how often
# the last scheduled run has been tried in vain.
read_record() {
  local name value
  since=$now ended=0 result=none succeeded=0 tries=0 is_right=0
  # A crash can leave an empty one.
  [ -s "$records/$1" ] || return 0
  is_right=1
  while IFS='=' read -r name value; do
    case $name in
      since) since=$value ;;
      ended) ended=$value ;;
      result) result=$value ;;
      succeeded) succeeded=$value ;;
      tries) tries=$value ;;
    esac
  done <"$records/$1"
  # The clock was ahead: until it is there again, nothing would be tried or be late.
  for name in since ended succeeded; do
    if [ "${!name}" -gt $((now + 60)) ]; then printf -v "$name" %s "$now" && is_right=0; fi
  done
}

write_record() {
  printf '%s\n' "since=$since" "ended=$ended" "result=$result" "succeeded=$succeeded" "tries=$tries" >"$records/.$1"
  mv "$records/.$1" "$records/$1"
}

record_end() {
  # The unit's own condition did not let it run.
  if [ "$SERVICE_RESULT" = exec-condition ]; then return 0; fi
  mkdir -p "$records"
  read_record "$1"
  ended=$now result=$SERVICE_RESULT
  if [ "$result" = success ]; then
    succeeded=$now tries=0
  elif [ -e "$shown/$1.retry" ]; then
    tries=$((tries + 1))
  else
    tries=1
  fi
  rm -f "$shown/$1.retry"
  write_record "$1"
}

# The second time of a calendar after that of $1; nothing if it has no second one.
second_time() {
  local text
  text=$(LC_ALL=C systemd-analyze calendar --iterations=2 --base-time="@$1" "$2" |
    sed -n '/^ *Iter[a-z.]* #2:/,$ s/.* \([0-9-]\{10\} [0-9:]\{8\} UTC\)$/\1/p')
  if [ -n "$text" ]; then date --utc --date="$text" +%s; fi
}

# By unit.
declare -A active=() began=()

# What systemd says about the units of all jobs: a line for each property, and an empty one after each unit.
look() {
  local name value unit='' now_active='' first=0
  while IFS='=' read -r name value; do
    case $name in
      Id) unit=$value ;;
      ActiveState) now_active=$value ;;
      # 0 until its first run since boot.
      ExecMainStartTimestampMonotonic) first=$value ;;
      '') active[$unit]=$now_active began[$unit]=$first ;;
    esac
  done < <(
    systemctl show --property Id,ActiveState,ExecMainStartTimestampMonotonic "${units[@]}"
    echo
  )
}

# By job: the second time of its calendar, and after what.
declare -A second=() second_after=()

# When the job becomes late, into $late_at. Two runs in a row may take their time, unless the option says otherwise.
becomes_late() {
  local base=$since run=$((limit + retries * (limit + retry_pause + look_every) + look_every))
  if [ "$succeeded" -gt 0 ]; then base=$succeeded; fi
  if [ "$late" != - ]; then
    late_at=$((base + late))
  elif [ "$interval" != - ]; then
    late_at=$((base + 2 * (interval + run)))
  else
    if [ "${second_after[$job]:-}" != "$base" ]; then
      second[$job]=$(second_time "$base" "$calendar")
      second_after[$job]=$base
    fi
    late_at=${second[$job]:+$((second[$job] + run))}
  fi
}

# The unit $1-late.service is failed as long as the job is late, so `systemctl --failed` names it.
say_late() {
  local unit=$1-late.service text
  if [ "$is_late" = 1 ]; then
    if [ "$succeeded" -gt 0 ]; then
      printf -v text '%(%F %T %Z)T' "$succeeded"
      text="no run has succeeded since $text"
    else
      text='no run has succeeded yet'
    fi
    echo "$JOBS_STACK: $job is late: $text; see: journalctl --unit $1" >"$shown/$job.late"
    if [ "${active[$unit]}" != failed ]; then systemctl start --no-block "$unit" || true; fi
  else
    rm -f "$shown/$job.late"
    if [ "${active[$unit]}" = failed ]; then systemctl reset-failed "$unit" || true; fi
  fi
}

# A timer knows nothing of a run before the boot, and nothing of tries.
start_due() {
  local unit=$1.service
  case ${active[$unit]} in inactive | failed) ;; *) return 0 ;; esac
  if [ "$tries" -gt 0 ] && [ "$tries" -le "$retries" ]; then
    if [ "$now" -lt $((ended + retry_pause)) ]; then return 0; fi
    touch "$shown/$job.retry"
  elif [ "$interval" = - ] || [ "${began[$unit]}" != 0 ] || [ "$now" -lt $((ended + interval)) ]; then
    return 0
  fi
  systemctl start --no-block "$unit" || true
}

metric() {
  local name=$1 help=$2
  shift 2
  printf '# HELP %s %s\n# TYPE %s gauge\n' "$name" "$help" "$name"
  printf "$name{stack=\"$JOBS_STACK\",job=\"%s\"} %s\n" "$@"
}

keep() {
  local table=$1 job unit retries limit late interval calendar late_at is_late file
  local units=() jobs=' '
  while read -r job unit _; do
    units+=("$unit.service" "$unit-late.service")
    jobs+="$job "
  done <"$table"
  # Of jobs that are no more.
  for file in "$records"/*; do
    case $jobs in *" ${file##*/} "*) ;; *) rm -f "$file" ;; esac
  done
  while true; do
    printf -v now '%(%s)T' -1
    look
    local successes=() ends=() failures=() late_ones=()
    while read -r job unit retries limit late interval calendar; do
      read_record "$job"
      if [ "$is_right" = 0 ]; then write_record "$job"; fi
      becomes_late
      is_late=0
      if [ -n "$late_at" ] && [ "$now" -gt "$late_at" ]; then is_late=1; fi
      say_late "$unit"
      start_due "$unit"
      successes+=("$job" "$succeeded")
      ends+=("$job" "$ended")
      case $result in none | success) failures+=("$job" 0) ;; *) failures+=("$job" 1) ;; esac
      late_ones+=("$job" "$is_late")
    done <"$table"
    {
      metric slipway_job_last_success_timestamp_seconds 'When the last run that succeeded ended; 0 before the first.' "${successes[@]}"
      metric slipway_job_last_end_timestamp_seconds 'When the last run ended; 0 before the first.' "${ends[@]}"
      metric slipway_job_failed '1 if the last run failed or was ended.' "${failures[@]}"
      metric slipway_job_late '1 if no run has succeeded for too long.' "${late_ones[@]}"
    } >"$shown/jobs.new"
    mv "$shown/jobs.new" "$shown/jobs.prom"
    sleep "$look_every"
  done
}

printf -v now '%(%s)T' -1
case $1 in
  keep) keep "$2" ;;
  ended) record_end "$2" ;;
  late)
    if [ -e "$shown/$2.late" ]; then
      cat "$shown/$2.late" >&2
      exit 1
    fi
    ;;
esac
