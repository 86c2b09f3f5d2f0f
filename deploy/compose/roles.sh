# Made from nix/containers/slipway.nix; to change it, change that and run: nix run .#render
# shellcheck shell=bash
# The image of Postgres runs this in a new volume. In a volume that has one role people run it: see README.md.
set -e
as() {
  local role=$1
  shift
  psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --dbname="$POSTGRES_DB" --username="$role" "$@"
}
if ! as slipway-owner --command="" 2>/dev/null; then
  # There `slipway` made the cluster and can never be less than a superuser. So it takes the owner's name, and a new
  # `slipway` comes in its place. No role can rename itself: a third one does it.
  as slipway <<'SQL'
SET client_min_messages = warning;
DROP ROLE IF EXISTS renames;
CREATE ROLE renames LOGIN SUPERUSER;
SQL
  as renames --single-transaction <<'SQL'
\set password `cat /run/secrets/database_password`
ALTER ROLE "slipway" RENAME TO "slipway-owner";
CREATE ROLE "slipway" LOGIN PASSWORD :'password';
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO "slipway";
SQL
fi
as slipway-owner <<'SQL'
\set owner_password `cat /run/secrets/database_owner_password`
\set password `cat /run/secrets/database_password`
SET client_min_messages = warning;
DROP ROLE IF EXISTS renames;
SELECT 'CREATE ROLE "slipway" LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'slipway') \gexec
ALTER ROLE "slipway" PASSWORD :'password';
ALTER ROLE "slipway-owner" PASSWORD :'owner_password';
SQL
