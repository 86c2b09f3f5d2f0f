# The stack's role and database, who else reads it, and the role of the backups. Each is made if it is not there, and set
# right if it is.
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
  rights = import ./rights.nix { inherit lib pkgs; };

  # psql quotes what stands in variables; nothing is pasted into statements.
  statements = ./setup.sql;
  # Reads everything, changes nothing; BYPASSRLS, or rows behind a policy would be missing from a dump. The server may run a
  # service's code where this role reads a service's tables. So it has no right to what is not in them: earlier releases gave
  # pg_monitor, which shows the statements of all databases. Its status of the archive is read in the database postgres.
  backupStatements = pkgs.writeText "slipway-backup-role.sql" (
    ''
      \set ON_ERROR_STOP on
      SELECT 'CREATE ROLE "slipway-backup" LOGIN'
        WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'slipway-backup') \gexec
      ALTER ROLE "slipway-backup" BYPASSRLS;
      GRANT pg_read_all_data TO "slipway-backup";
      REVOKE pg_monitor FROM "slipway-backup";
      GRANT EXECUTE ON FUNCTION pg_catalog.pg_ls_archive_statusdir() TO "slipway-backup";
      GRANT CONNECT ON DATABASE :"name" TO "slipway-backup";
    ''
    # The leader makes the backups of a cluster, and writes down here how they ended; each member reads it.
    + lib.optionalString database.cluster.member ''
      SET client_min_messages = warning;
      CREATE SCHEMA IF NOT EXISTS slipway_backup;
      CREATE TABLE IF NOT EXISTS slipway_backup.runs (stack text, kind text, record jsonb NOT NULL, PRIMARY KEY (stack, kind));
      GRANT USAGE ON SCHEMA slipway_backup TO "slipway-backup";
      GRANT SELECT, INSERT, UPDATE ON slipway_backup.runs TO "slipway-backup";
    ''
  );
  # Over standard input, so that the password is on no command line. Logging and counting are off, so that it is neither
  # in a log nor in pg_stat_statements.
  passwordStatements = name: stack: one: ''
    if [ -z "$(cat "$CREDENTIALS_DIRECTORY/${one.credential}")" ]; then
      echo "services.slipway.stacks.${name}.database.${one.option}: ${one.file} is empty; write the role's password into it, then: systemctl restart ${(namesOf name stack).roll}.service" >&2
      exit 1
    fi
    psql --dbname=postgres --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --set=role=${one.login} <<SQL
    SET log_statement = 'none'; SET log_min_error_statement = 'panic'; SET log_min_duration_statement = -1;
    SET pg_stat_statements.track = 'none';
    \set password \`cat "\$CREDENTIALS_DIRECTORY/${one.credential}"\`
    ALTER ROLE :"role" PASSWORD :'password';
    SQL
  '';
  # Everything that it creates belongs to the role, and it has the role's rights: only its password
  # differs.
  secondStatements = pkgs.writeText "slipway-second-login.sql" ''
    \set ON_ERROR_STOP on
    SELECT format('CREATE ROLE %I', :'second')
      WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'second') \gexec
    GRANT :"role" TO :"second";
    ALTER ROLE :"second" LOGIN;
    ALTER ROLE :"second" SET role = :'role';
  '';
  noSecondStatements = pkgs.writeText "slipway-no-second-login.sql" ''
    \set ON_ERROR_STOP on
    SELECT format('ALTER ROLE %I NOLOGIN PASSWORD NULL', :'second')
      WHERE EXISTS (SELECT FROM pg_roles WHERE rolname = :'second' AND rolcanlogin) \gexec
  '';
  # After a restore the server replays its archive before it accepts changes.
  waiting = ''
    tries=0
    until answer=$(psql --dbname=postgres --no-psqlrc -tAc 'SELECT pg_is_in_recovery()' 2>&1) && [ "$answer" = f ]; do
      [ $((tries % 60)) != 0 ] || echo "waiting for the server on port $PGPORT: ''${answer/#t/it replays its archive}"
      tries=$((tries + 1))
      sleep 1
    done
  '';
  # Common to all units of this file.
  common = {
    after = database.units;
    requires = [ database.unit ];
    path = [ config.services.postgresql.finalPackage ];
    environment.PGPORT = toString database.port;
    unitConfig.StartLimitIntervalSec = 0;
    serviceConfig = hardening { } // {
      Type = "oneshot";
      RemainAfterExit = true;
      User = "postgres";
      Group = "postgres";
      # It waits for a recovery of any length, and tries again if the server goes away meanwhile.
      TimeoutStartSec = "infinity";
      Restart = "on-failure";
      RestartSec = 5;
    };
  };
  unit =
    name: stack:
    lib.recursiveUpdate common {
      description = "${name}: role and database";
      # It starts and stops with the server. A new name also restarts it, since it changes the unit's text. For a new
      # password the roll restarts it, before the processes with that password. It starts with the stack too, which is
      # stopped while a dump is restored: owner and rights of the new database are then set again.
      wantedBy = [
        "multi-user.target"
        database.unit
        (namesOf name stack).target
      ];
      partOf = [ (namesOf name stack).target ];
      script = ''
        set -eu
        ${words name stack}
        ${waiting}
      ''
      + changes name stack;
      serviceConfig.LoadCredential = map (one: "${one.credential}:${one.file}") (
        database.passwords stack
      );
    };
  words = name: stack: ''
    role=${lib.escapeShellArg stack.user} name=${lib.escapeShellArg stack.database.name}
    second=${lib.escapeShellArg (database.secondLogin stack)}
    owner=${lib.escapeShellArg (database.ownerOf stack)}'';
  # What makes the stack's part of the server as it should be.
  changes =
    name: stack:
    ''
      psql --dbname=postgres --no-psqlrc --quiet --set=role="$role" --set=owner="$owner" --set=name="$name" --file=${statements}
    ''
    + lib.optionalString (stack.backup.enable or false) ''
      psql --dbname=postgres --no-psqlrc --quiet --set=name="$name" --file=${backupStatements}
    ''
    + ''
      psql --dbname=postgres --no-psqlrc --quiet --set=role="$role" --set=second="$second" --file=${
        if stack.database.secondPasswordFile == null then noSecondStatements else secondStatements
      }
    ''
    + lib.concatMapStrings (passwordStatements name stack) (database.passwords stack)
    + lib.concatMapStrings (reader: ''
      ${rights.give "read"} --set=name="$name" --set=owner="$owner" --set=member=${lib.escapeShellArg reader}
    '') stack.database.readers;

  # A stack that uses another one's database. It starts with both, since a dump that is restored has no rights in it.
  borrower =
    name: stack:
    let
      other = database.local.${stack.database.of};
      names = namesOf stack.database.of other;
      own = (namesOf name stack).target;
    in
    lib.recursiveUpdate common {
      description = "${name}: role in the database of ${stack.database.of}";
      after = common.after ++ [ "${stack.database.of}-database.service" ];
      wants = [ "${stack.database.of}-database.service" ];
      # Its migrations may name the role.
      before = map (job: "${job}.service") names.startJobs;
      wantedBy = [
        "multi-user.target"
        database.unit
        own
        names.target
      ];
      partOf = [
        own
        names.target
      ];
      script = ''
        set -eu
        ${waiting}
        ${rights.give stack.database.rights} --set=name=${lib.escapeShellArg other.database.name} --set=owner=${lib.escapeShellArg (database.ownerOf other)} --set=member=${lib.escapeShellArg stack.user}
      '';
    };

  onHost = lib.mapAttrs' (
    name: stack: lib.nameValuePair "${name}-database" (unit name stack)
  ) database.local;
  # See modules/cluster: only the member that leads changes anything, and which one that is changes.
  inCluster = import ./setup-in-cluster.nix {
    inherit
      changes
      common
      config
      lib
      pkgs
      words
      ;
  };
in
{
  systemd.services =
    (if database.cluster.member then inCluster else onHost)
    // lib.mapAttrs' (
      name: stack: lib.nameValuePair "${name}-database" (borrower name stack)
    ) database.using;
}
