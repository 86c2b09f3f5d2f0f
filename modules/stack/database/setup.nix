# The stack's role and database, and the role of the backups: made if they are not there, set right if they are.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  database = import ./lib.nix { inherit config lib; };
  hardening = import ../../../nix/lib/hardening.nix;
  namesOf = import ../names.nix { inherit lib; };

  # psql quotes what stands in variables; nothing is pasted into statements.
  statements = pkgs.writeText "slipway-database-setup.sql" ''
    \set ON_ERROR_STOP on
    SELECT format('CREATE ROLE %I LOGIN', :'role')
      WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'role') \gexec
    SELECT format('CREATE DATABASE %I OWNER %I', :'name', :'role')
      WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'name') \gexec
    SELECT format('ALTER DATABASE %I OWNER TO %I', :'name', :'role')
      WHERE NOT EXISTS (SELECT FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba
                        WHERE d.datname = :'name' AND r.rolname = :'role') \gexec
    REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
    \connect :"name"
    CREATE EXTENSION IF NOT EXISTS pg_stat_statements;
  '';
  # Reads everything, changes nothing; BYPASSRLS, or rows behind a policy would be missing from a dump.
  backupStatements = pkgs.writeText "slipway-backup-role.sql" ''
    \set ON_ERROR_STOP on
    SELECT 'CREATE ROLE "slipway-backup" LOGIN'
      WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'slipway-backup') \gexec
    ALTER ROLE "slipway-backup" BYPASSRLS;
    GRANT pg_read_all_data, pg_monitor TO "slipway-backup";
    GRANT CONNECT ON DATABASE :"name" TO "slipway-backup";
  '';
  # Over standard input, so that it is on no command line; nothing is logged or counted, so that it is in no log and not
  # among the statements that pg_stat_statements shows.
  passwordStatements = name: stack: ''
    if [ -z "$(cat "$CREDENTIALS_DIRECTORY/password")" ]; then
      echo "services.slipway.stacks.${name}.database.passwordFile: ${stack.database.passwordFile} is empty; write the role's password into it, then: systemctl restart ${(namesOf name stack).roll}.service" >&2
      exit 1
    fi
    psql --dbname=postgres --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --set=role="$role" <<SQL
    SET log_statement = 'none'; SET log_min_error_statement = 'panic'; SET log_min_duration_statement = -1;
    SET pg_stat_statements.track = 'none';
    \set password \`cat "\$CREDENTIALS_DIRECTORY/password"\`
    ALTER ROLE :"role" PASSWORD :'password';
    SQL
  '';

  unit = name: stack: {
    description = "${name}: role and database";
    after = database.units;
    requires = [ "postgresql.service" ];
    # The server's start alone does not run it again; a new name does, through the unit's text, and a new password through
    # the roll, before it restarts the processes that have it.
    wantedBy = [ "multi-user.target" ];
    path = [ config.services.postgresql.finalPackage ];
    script = ''
      set -eu
      role=${lib.escapeShellArg stack.user} name=${lib.escapeShellArg stack.database.name}
      # After a restore the server replays its archive before it takes changes.
      until [ "$(psql --dbname=postgres --no-psqlrc -tAc 'SELECT pg_is_in_recovery()' 2>/dev/null)" = f ]; do sleep 1; done
      psql --dbname=postgres --no-psqlrc --quiet --set=role="$role" --set=name="$name" --file=${statements}
    ''
    + lib.optionalString (stack.backup.enable or false) ''
      psql --dbname=postgres --no-psqlrc --quiet --set=name="$name" --file=${backupStatements}
    ''
    + lib.optionalString (stack.database.passwordFile != null) (passwordStatements name stack);
    serviceConfig = hardening { } // {
      Type = "oneshot";
      RemainAfterExit = true;
      User = "postgres";
      Group = "postgres";
      LoadCredential = lib.optional (
        stack.database.passwordFile != null
      ) "password:${stack.database.passwordFile}";
      TimeoutStartSec = "1h";
    };
  };
in
{
  systemd.services = lib.mapAttrs' (
    name: stack: lib.nameValuePair "${name}-database" (unit name stack)
  ) database.local;
}
