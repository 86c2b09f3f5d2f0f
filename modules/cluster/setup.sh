# Only the leader can change anything; what it does here reaches the others by itself.
# shellcheck shell=bash
leads || exit 0

for role in replication rewind; do
  login=$REPLICATION
  [ "$role" = replication ] || login=$REWIND
  psql --dbname=postgres --no-psqlrc --quiet --set=login="$login" --set=kind="$role" --set=file="$CREDENTIALS_DIRECTORY/$role" --file="$STATEMENTS"
done

operator "$CREDENTIALS_DIRECTORY/operator" --fail --output /dev/null --max-time 30 \
  --request PATCH --data-binary "@$CONFIGURATION" "$URL"
