# Made from nix/contract.nix; to change it, change that and run: nix run .#render
psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" <<'SQL'
\set password `cat /run/secrets/database_password`
CREATE ROLE "slipway" LOGIN PASSWORD :'password';
SQL
