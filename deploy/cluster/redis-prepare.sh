# shellcheck shell=bash
# redis-prepare server|sentinel OPTION…: writes the file that redis-server or Sentinel starts with.
#
#   --rendered=FILE   the settings; --secrets=FILE those with @NAME@ and @NAME.sha256@ for passwords
#   --secret=NAME=FILE   a password, one word on one line
#   --state=FILE      what is written, readable by its owner (--owner=USER:GROUP) alone
#   --member, --sentinel='ADDRESS PORT'   every Redis and every Sentinel of the cluster; the first member is the first primary
#   server only: --group=NAME --self='ADDRESS PORT' --tls-certificate, --tls-key, --tls-authority=FILE
#
# Both programs write their file again while they run, and would put old settings after new ones. So it is made from
# the settings at each start. Only what the program itself found out is taken over: who is the primary, and, for Sentinel,
# its name, its votes and whom it knows. A member that has left the cluster is forgotten.
set -euo pipefail
# In other languages a range of characters is another one.
export LC_ALL=C

fail() {
  echo "redis-prepare: $*" >&2
  exit 1
}

mode=${1-} state='' rendered='' secrets='' group='' self='' owner=''
certificate='' key='' authority=''
members=() sentinels=()
declare -A password_files
[ "$mode" = server ] || [ "$mode" = sentinel ] || fail "'$mode' is neither server nor sentinel"
shift
for option; do
  value=${option#*=}
  case $option in
    --state=*) state=$value ;;
    --rendered=*) rendered=$value ;;
    --secrets=*) secrets=$value ;;
    --secret=*=*) password_files[${value%%=*}]=${value#*=} ;;
    --member=*) members+=("$value") ;;
    --sentinel=*) sentinels+=("$value") ;;
    --group=*) group=$value ;;
    --self=*) self=$value ;;
    --owner=*) owner=$value ;;
    --tls-certificate=*) certificate=$value ;;
    --tls-key=*) key=$value ;;
    --tls-authority=*) authority=$value ;;
    *) fail "does not know $option" ;;
  esac
done
[ -n "$state" ] && [ -n "$rendered" ] && [ -n "$secrets" ] && [ "${#members[@]}" -gt 0 ] ||
  fail "needs --state, --rendered, --secrets and --member"

# Redis splits a line at blanks and reads quotes, so a password with them would be another one.
password_of() {
  local file=${password_files[$1]-} text
  [ -n "$file" ] || fail "has no --secret=$1=FILE"
  [ -e "$file" ] || fail "$file does not exist; put the password there, one word on one line"
  text=$(<"$file") || fail "$file cannot be read"
  [[ $text =~ ^[!-~]{16,}$ ]] ||
    fail "$file is not one word of 16 or more printable characters; make one with: openssl rand -hex 32"
  [[ $text != *[\"\'#@\\]* ]] ||
    fail "$file has a quote, #, @ or backslash, which would be misread; make one with: openssl rand -hex 32"
  printf '%s' "$text"
}

# Passwords stay in this shell: no program gets one as an argument.
filled_in() {
  local text name value digest
  text=$(<"$secrets")
  for name in "${!password_files[@]}"; do
    value=$(password_of "$name")
    digest=$(printf '%s' "$value" | sha256sum)
    text=${text//"@$name@"/"$value"}
    text=${text//"@$name.sha256@"/"${digest%% *}"}
  done
  [[ ! $text =~ @[a-zA-Z0-9._-]+@ ]] || fail "has no --secret for ${BASH_REMATCH[0]} in $secrets"
  printf '%s\n' "$text"
}

# Whether the first argument is among the others.
is_one_of() {
  local wanted=$1 one
  shift
  for one; do [ "$one" != "$wanted" ] || return 0; done
  return 1
}
is_member() { is_one_of "$1" "${members[@]}"; }
is_sentinel() { is_one_of "$1" "${sentinels[@]}"; }
# Known once the settings are written.
is_group() { is_one_of "$1" "${groups[@]}"; }

# Who most Sentinels that answer take for the primary; nothing if none answers.
primary_by_sentinels() {
  local one votes
  REDISCLI_AUTH=$(password_of cluster)
  export REDISCLI_AUTH
  votes=$(
    for one in "${sentinels[@]}"; do
      # One at a time would add up the waits for those that are away.
      timeout 3 redis-cli --no-auth-warning --user slipway-cluster --tls --cert "$certificate" --key "$key" \
        --cacert "$authority" -h "${one% *}" -p "${one#* }" sentinel get-master-addr-by-name "$group" 2>/dev/null |
        paste -s -d ' ' &
    done
    wait
  )
  sort <<<"$votes" | uniq -c | sort -rn | while read -r _ address port; do
    if [ -n "$port" ] && is_member "$address $port"; then
      echo "$address $port"
      break
    fi
  done
}

server_state() {
  local primary last=${members[0]}
  if [ -e "$state" ]; then
    last=$(sed -n -E 's/^(replicaof|slaveof) "?([^" ]+)"? ([0-9]+)$/\2 \3/p' "$state" | tail -n 1)
    # Without a word about a primary it was one.
    [ -n "$last" ] || last=$self
    is_member "$last" || last=${members[0]}
  fi
  primary=$(primary_by_sentinels)
  primary=${primary:-$last}
  [ "$primary" = "$self" ] || echo "replicaof $primary"
}

# The line of the settings with the primary that this Sentinel knew.
monitor_line() {
  local group=$1 first=$2 quorum=$3 known=''
  [ ! -e "$state" ] ||
    known=$(sed -n -E "s/^sentinel monitor $group \"?([^\" ]+)\"? ([0-9]+) [0-9]+\$/\1 \2/p" "$state" | tail -n 1)
  is_member "$known" || known=$first
  echo "sentinel monitor $group $known $quorum"
}

sentinel_settings() {
  local line word address port quorum
  while IFS= read -r line; do
    read -r _ word group address port quorum <<<"$line"
    if [ "${line%% *}" = sentinel ] && [ "$word" = monitor ]; then
      monitor_line "$group" "$address $port" "$quorum"
      groups+=("$group")
    else
      printf '%s\n' "$line"
    fi
  done <"$rendered"
}

sentinel_state() {
  local line word of address port
  [ -e "$state" ] || return 0
  while IFS= read -r line; do
    line=${line//\"/}
    read -r _ word of address port _ <<<"$line"
    case $line in
      'sentinel myid '* | 'sentinel current-epoch '*) ;;
      'sentinel config-epoch '* | 'sentinel leader-epoch '*) is_group "$of" || continue ;;
      'sentinel known-replica '* | 'sentinel known-slave '*)
        is_group "$of" || continue
        is_member "$address $port" || continue
        ;;
      'sentinel known-sentinel '*)
        is_group "$of" || continue
        is_sentinel "$address $port" || continue
        ;;
      *) continue ;;
    esac
    printf '%s\n' "$line"
  done <"$state"
}

umask 077
groups=()
: >"$state.new" || fail "cannot write $state.new"
# No `||` after it: the shell would then go on behind a password that is missing, and the server would take an empty one.
if [ "$mode" = server ]; then
  cat "$rendered"
  filled_in
  server_state
else
  sentinel_settings
  filled_in
  sentinel_state
fi >"$state.new"
[ -z "$owner" ] || chown "$owner" "$state.new"
mv "$state.new" "$state"
