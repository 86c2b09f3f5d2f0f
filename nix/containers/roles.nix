# The role of api and worker in a new cluster, as a script that the image of Postgres runs. Only builtins.
{ contract }:
let
  inherit (contract.database) user;
in
''
  psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" <<'SQL'
  \set password `cat /run/secrets/database_password`
  CREATE ROLE "${user}" LOGIN PASSWORD :'password';
  SQL
''
