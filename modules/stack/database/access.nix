# slipway-database-access.service: the server reads who may connect from fixed paths, and again when the lines change. So
# another stack does not restart the server under the others.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  database = import ./lib.nix { inherit config lib; };
  hardening = import ../../../nix/lib/hardening.nix;
  cfg = config.services.postgresql;
  files = {
    hba_file = pkgs.writeText "pg_hba.conf" cfg.authentication;
    ident_file = pkgs.writeText "pg_ident.conf" cfg.identMap;
  };
  place = name: "slipway/postgresql/${name}";
in
{
  config = lib.mkIf (database.local != { }) {
    environment.etc = lib.mapAttrs' (
      name: source: lib.nameValuePair (place name) { inherit source; }
    ) files;
    # NixOS' own values are paths of the store. They are no defaults, so these are stronger; a host's mkForce still wins.
    services.postgresql.settings = lib.mapAttrs (name: _: lib.mkOverride 90 "/etc/${place name}") files;

    systemd.services.slipway-database-access = {
      description = "Who may connect to Postgres";
      wantedBy = [ "postgresql.service" ];
      after = [ "postgresql.service" ];
      # Not during a start of the server, which reads them itself.
      requisite = [ "postgresql.service" ];
      path = [ cfg.finalPackage ];
      environment.PGPORT = toString database.port;
      restartTriggers = lib.attrValues files;
      # In one step, before the new stack's units are started.
      stopIfChanged = false;
      serviceConfig = hardening { } // {
        Type = "oneshot";
        RemainAfterExit = true;
        ExecStart = "${cfg.finalPackage}/bin/psql --dbname=postgres --no-psqlrc --quiet --no-align --tuples-only --command='SELECT pg_reload_conf()'";
        User = "postgres";
        Group = "postgres";
      };
    };
  };
}
