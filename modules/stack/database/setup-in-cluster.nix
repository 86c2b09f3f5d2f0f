# The stack's part of a cluster's server, in two units. <stack>-database waits until the stack's login works, wherever the leader is;
# <stack>-database-leader runs when this member becomes the leader, with this member's configuration (modules/cluster/setup.nix).
{
  config,
  lib,
  pkgs,
  common,
  # name: stack: lines of the shell.
  words,
  changes,
}:
let
  database = import ./lib.nix { inherit config lib; };
  namesOf = import ../names.nix { inherit lib; };
  hardening = import ../../../nix/lib/hardening.nix;
  inherit (database) cluster;
  leads = ../../cluster/leads.sh;

  change =
    name: stack:
    pkgs.writeShellScript "${name}-database" (
      ''
        set -eu
        ${words name stack}
      ''
      + changes name stack
    );
  credentials = stack: map (one: "${one.credential}:${one.file}") (database.passwords stack);
  unit =
    name: stack:
    lib.recursiveUpdate common {
      description = "${name}: role and database in the cluster ${cluster.cfg.name}";
      after = common.after ++ [ cluster.proxyUnit ];
      # The server of this host may be away while the cluster is not.
      requires = [ ];
      wants = [ cluster.proxyUnit ];
      wantedBy = [
        "multi-user.target"
        (namesOf name stack).target
      ];
      partOf = [ (namesOf name stack).target ];
      script = ''
        set -eu
        . ${leads}
        if leads; then ${change name stack}; fi
      ''
      # A member without programs of the stack waits for nobody.
      + lib.optionalString (stack.services != { }) ''
        through() {
          PGHOST=${cluster.cfg.serverName} PGPORT=${toString cluster.cfg.ports.leader} PGSSLMODE=verify-full \
            PGSSLROOTCERT=${cluster.cfg.authority} PGCONNECT_TIMEOUT=5 PGUSER=${lib.escapeShellArg stack.user} \
            PGDATABASE=${lib.escapeShellArg stack.database.name} PGPASSWORD=$(cat "$CREDENTIALS_DIRECTORY/password") \
            psql --no-psqlrc -tAc 'SELECT 1' 2>&1 > /dev/null
        }
        tries=0
        until answer=$(through); do
          [ $((tries % 60)) != 0 ] || echo "waiting for the leader of the cluster ${cluster.cfg.name} to let ${stack.user} in: $answer"
          tries=$((tries + 1))
          sleep 1
        done
      '';
      serviceConfig = hardening { addresses = [ "localhost" ]; } // {
        LoadCredential = credentials stack;
      };
    };
  leader =
    name: stack:
    lib.recursiveUpdate common {
      description = "${name}: role and database, while this member leads the cluster ${cluster.cfg.name}";
      requires = [ ];
      script = ''
        set -eu
        . ${leads}
        leads || exit 0
        exec ${change name stack}
      '';
      serviceConfig = {
        LoadCredential = credentials stack;
        RemainAfterExit = false;
        TimeoutStartSec = 300;
      };
    };
in
lib.mapAttrs' (name: stack: lib.nameValuePair "${name}-database" (unit name stack)) database.local
// lib.mapAttrs' (
  name: stack: lib.nameValuePair "${name}-database-leader" (leader name stack)
) database.local
