# slipway-pg-upgrade: upgrades the data to the next major version, keeps the old data, and refuses when in
# doubt.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  database = import ./lib.nix { inherit config lib; };
  from = database.server.upgradeFrom;
  cfg = config.services.postgresql;
  oldDir = "/var/lib/postgresql/${from.psqlSchema}";
  # pg_upgrade loads the extensions' libraries of both.
  withExtensions =
    package:
    package.withPackages (packages: lib.concatMap (one: one.extensions packages) database.databases);

  script = import ../../../nix/lib/shell-application.nix { inherit pkgs; } {
    name = "slipway-pg-upgrade";
    runtimeInputs = [
      pkgs.coreutils
      pkgs.util-linux
      config.systemd.package
    ];
    runtimeEnv = {
      OLD_BIN = "${withExtensions from}/bin";
      NEW_BIN = "${cfg.finalPackage}/bin";
      OLD_DATA = oldDir;
      NEW_DATA = cfg.dataDir;
      OLD_MAJOR = from.psqlSchema;
      NEW_MAJOR = cfg.package.psqlSchema;
      INITDB_ARGS = lib.escapeShellArgs cfg.initdbArgs;
      PRELOAD = "pg_stat_statements";
    };
    text = builtins.readFile ./upgrade.sh;
  };
in
{
  config = lib.mkIf (database.databases != [ ] && from != null) {
    environment.systemPackages = [ script ];
  };
}
