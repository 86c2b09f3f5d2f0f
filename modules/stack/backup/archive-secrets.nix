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
  hardening = import ../../../nix/lib/hardening.nix;
  folder = dirOf configuration;
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
  serviceConfig =
    hardening {
      capabilities = [ "CAP_CHOWN" ];
      systemCalls = [ "@chown" ];
    }
    // {
      Type = "oneshot";
      RemainAfterExit = true;
      ExecStart = lib.getExe script;
      LoadCredential = [ "secrets:${toString secretsFile}" ];
      RuntimeDirectory = baseNameOf folder;
      RuntimeDirectoryMode = "0755";
      RuntimeDirectoryPreserve = true;
      # A mount with the secret may be a moment late.
      Restart = "on-failure";
      RestartSec = 5;
      TimeoutStartSec = 60;
    };
}
