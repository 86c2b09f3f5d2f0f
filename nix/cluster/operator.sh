# operator FILE …: curl to Patroni as the one who may change the cluster. The password in the file is quoted for curl's own file
# of options, and on no command line.
# shellcheck shell=bash
operator() {
  local password
  password=$(cat "$1") || return
  shift
  password=${password//\\/\\\\}
  password=${password//\"/\\\"}
  printf 'user = "%s:%s"\n' "$OPERATOR" "$password" \
    | curl --config - --silent --show-error --cacert "$AUTHORITY" --cert "$CERTIFICATE" --key "$KEY" \
      --header 'Content-Type: application/json' "$@"
}
