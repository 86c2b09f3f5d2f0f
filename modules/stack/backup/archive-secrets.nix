# slipway-archive.service: pgBackRest's configuration with its secrets, for the accounts of the server and of the backups. Both
# start pgBackRest with it, and Postgres does for each segment, so the secrets cannot be credentials of one unit.
{
  pkgs,
  lib,
  text,
  configuration,
  secretsFile,
  # Options that must be in the file.
  needed,
}:
let
  script = import ../../../nix/lib/shell-application.nix { inherit pkgs; } {
    name = "slipway-archive";
    runtimeInputs = [
      pkgs.coreutils
      pkgs.gnugrep
    ];
    runtimeEnv = {
      FILE = toString secretsFile;
      NEEDED = toString needed;
      PLAIN = "${pkgs.writeText "pgbackrest.conf" text}";
      CONFIGURATION = configuration;
    };
    text = builtins.readFile ./archive-secrets.sh;
  };
in
{
  description = "Configuration of the archive, with its secrets";
  wantedBy = [ "multi-user.target" ];
  unitConfig.StartLimitIntervalSec = 0;
  serviceConfig = import ../../../nix/lib/hand-on.nix {
    script = lib.getExe script;
    folder = dirOf configuration;
    credentials = [ "secrets:${toString secretsFile}" ];
  };
}
