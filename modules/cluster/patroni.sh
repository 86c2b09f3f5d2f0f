# Starts Patroni with the passwords in its environment, which only its own account and root can see.
# shellcheck shell=bash
given() {
  local value
  value=$(cat "$CREDENTIALS_DIRECTORY/$1")
  [ -n "$value" ] || {
    echo "$OPTION.$1PasswordFile is empty; write a password into the file, the same on all members: openssl rand -hex 32" >&2
    exit 1
  }
  printf %s "$value"
}
[ -r "$KEY" ] || {
  echo "the member's certificate is not in place; see: journalctl -u slipway-cluster-certificate" >&2
  exit 1
}
PATRONI_REPLICATION_PASSWORD=$(given replication)
PATRONI_REWIND_PASSWORD=$(given rewind)
PATRONI_RESTAPI_PASSWORD=$(given operator)
export PATRONI_REPLICATION_PASSWORD PATRONI_REWIND_PASSWORD PATRONI_RESTAPI_PASSWORD

# A server of this host alone had its settings here; Patroni writes its own.
if [ -L "$DATA/postgresql.conf" ]; then rm "$DATA/postgresql.conf"; fi
if [ ! -e "$DATA/PG_VERSION" ]; then
  for old in "$(dirname "$DATA")"/*/PG_VERSION; do
    [ -e "$old" ] || continue
    # What a restore kept has more in its name than a version.
    [[ $(basename "$(dirname "$old")") =~ ^[0-9]+$ ]] || continue
    echo "there is no data in $DATA, and there is in ${old%/PG_VERSION}: a member is not begun beside it; set services.slipway.database.package to its version, or move it away" >&2
    exit 1
  done
fi
# Beside the configuration, slipway-cluster says there that this member is about to go; whoever starts is back.
conf=/run/slipway-patroni/conf
rm -rf "$conf"
mkdir -p "$conf"
ln -s /etc/slipway/patroni.yaml "$conf/10-patroni.yaml"
exec "$PATRONI" "$conf"
