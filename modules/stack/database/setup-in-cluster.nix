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
  # A switch waits for it, and gives up before the agent does (`limits.activate_seconds`). It is then tried again.
  waitSeconds = 240;

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
        . ${./let-in.sh}
        PGHOST=${cluster.cfg.serverName} PGPORT=${toString cluster.cfg.ports.leader} PGSSLMODE=verify-full \
          PGSSLROOTCERT=${cluster.cfg.authority} PGUSER=${lib.escapeShellArg stack.user} \
          PGDATABASE=${lib.escapeShellArg stack.database.name} PGPASSWORD=$(cat "$CREDENTIALS_DIRECTORY/password") \
          let_in ${toString waitSeconds} ${cluster.cfg.name}
      '';
      serviceConfig = hardening { addresses = [ "localhost" ]; } // {
        LoadCredential = credentials stack;
        # With two minutes for a member that is about to lead.
        TimeoutStartSec = waitSeconds + 150;
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
