# slipway-pg-upgrade [--go]: without --go it only checks. The old data folder is never changed: files are copied.
# shellcheck shell=bash
die() {
  printf 'slipway-pg-upgrade: %s\n' "$@" >&2
  exit 1
}
as_postgres() { runuser -u postgres -- "$@"; }

go=
case "${1-}" in
  "") ;;
  --go) go=1 ;;
  *) die "usage: slipway-pg-upgrade [--go]; without --go nothing is changed" ;;
esac
[ "$(id -u)" = 0 ] || die "run it as root"
[ "$OLD_MAJOR" -lt "$NEW_MAJOR" ] || die "services.slipway.database.upgradeFrom ($OLD_MAJOR) is not older than its package ($NEW_MAJOR)"
[ -e "$OLD_DATA/PG_VERSION" ] || die "$OLD_DATA holds no cluster; is services.slipway.database.upgradeFrom the version that ran last?"
[ "$(cat "$OLD_DATA/PG_VERSION")" = "$OLD_MAJOR" ] || die "$OLD_DATA is of version $(cat "$OLD_DATA/PG_VERSION"), not $OLD_MAJOR"
[ ! -e "$NEW_DATA/PG_VERSION" ] || die "$NEW_DATA holds a cluster already, and nothing is written over; if it is of no use, move it away"
# A failed server that systemd tries again is `activating`; it could start in the middle.
case $(systemctl is-active postgresql.service || true) in
  inactive | failed | unknown) ;;
  *) die "stop the server first: systemctl stop postgresql.service" ;;
esac
[ ! -e "$OLD_DATA/postmaster.pid" ] || die "$OLD_DATA/postmaster.pid is there: a server runs on the old data, or it did not shut down cleanly; start and stop it once with the old version"

control() { as_postgres "$OLD_BIN/pg_controldata" "$OLD_DATA" | sed -n "s/^$1: *//p"; }
[ "$(control "Database cluster state")" = "shut down" ] || die "the old cluster is '$(control "Database cluster state")', not 'shut down'; start and stop it once with the old version"
need=$(du -sk "$OLD_DATA" | cut -f1)
room=$(df -k --output=avail /var/lib/postgresql | tail -1)
[ "$room" -gt $((need + need / 5)) ] || die "the copy needs about $((need * 6 / 5 / 1024)) MiB, and /var/lib/postgresql has $((room / 1024)) MiB free"

# pg_upgrade starts both servers in a folder of its own.
work=$(mktemp -d /var/lib/postgresql/upgrade.XXXXXX)
fresh=$work/data
trap 'rm -rf "$work"' EXIT
chown postgres:postgres "$work"
cd "$work" || die "cannot enter $work"
# Both must agree on checksums. Locales are taken from the old cluster.
args=()
eval "args=($INITDB_ARGS)"
if [ "$(control "Data page checksum version")" = 0 ]; then
  args=("${args[@]/--data-checksums/}")
  echo "the old cluster has no data checksums, so the new one has none; afterwards: pg_checksums --enable, with the server stopped"
fi
for index in "${!args[@]}"; do [ -n "${args[$index]}" ] || unset "args[$index]"; done
as_postgres "$NEW_BIN/initdb" --username=postgres "${args[@]}" --pgdata="$fresh" > "$work/initdb.log" || die "initdb failed: $(tail -3 "$work/initdb.log")"

upgrade() {
  as_postgres "$NEW_BIN/pg_upgrade" --old-bindir="$OLD_BIN" --new-bindir="$NEW_BIN" --old-datadir="$OLD_DATA" \
    --new-datadir="$fresh" --username=postgres --jobs="$(nproc)" --socketdir="$work" \
    --old-options "-c config_file=$work/old.conf -c hba_file=$work/hba.conf -c ident_file=$work/ident.conf -c shared_preload_libraries=$PRELOAD" \
    --new-options "-c hba_file=$work/hba.conf -c ident_file=$work/ident.conf -c shared_preload_libraries=$PRELOAD" "$@"
}
# The old configuration may name files of a generation that is gone.
touch "$work/old.conf" "$work/ident.conf"
echo "local all all trust" > "$work/hba.conf"
chown postgres:postgres "$work"/*.conf
upgrade --check || die "the check failed, and nothing was changed; the lines above say what to mend in the old cluster"
if [ -z "$go" ]; then
  echo "The check is fine and nothing was changed. Now make a last dump if you have none, then: slipway-pg-upgrade --go"
  exit 0
fi
upgrade || die "the upgrade failed; the old cluster in $OLD_DATA is as it was, and $NEW_DATA was not made"
mkdir -p "$(dirname "$NEW_DATA")"
[ ! -d "$NEW_DATA" ] || rmdir "$NEW_DATA"
mv "$fresh" "$NEW_DATA"
cat <<TEXT
The data are of version $NEW_MAJOR, in $NEW_DATA. The old ones are in $OLD_DATA as they were.
Next:
  switch to the new system if that is still to be done, else: systemctl start postgresql.service
  runuser -u postgres -- $NEW_BIN/vacuumdb --all --analyze-in-stages
  runuser -u postgres -- pgbackrest --stanza=main stanza-upgrade     (where the archive is on)
  slipway-backup now --kind all
  set services.slipway.database.upgradeFrom to null; delete $OLD_DATA when you are sure
TEXT
