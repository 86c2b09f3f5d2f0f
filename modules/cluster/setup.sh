# Only the leader can change anything; what it does here reaches the others by itself.
# shellcheck shell=bash
leads || exit 0

for role in replication rewind; do
  login=$REPLICATION
  [ "$role" = replication ] || login=$REWIND
  psql --dbname=postgres --no-psqlrc --quiet --set=login="$login" --set=kind="$role" --set=file="$CREDENTIALS_DIRECTORY/$role" --file="$STATEMENTS"
done

# The password is quoted for curl's own file of options, and on no command line.
password=$(cat "$CREDENTIALS_DIRECTORY/operator")
password=${password//\\/\\\\}
password=${password//\"/\\\"}
printf 'user = "%s:%s"\n' "$OPERATOR" "$password" \
  | curl --config - --silent --show-error --fail --output /dev/null --max-time 30 --cacert "$AUTHORITY" --cert "$CERTIFICATE" \
    --key "$KEY" --request PATCH --header 'Content-Type: application/json' --data-binary "@$CONFIGURATION" "$URL"
