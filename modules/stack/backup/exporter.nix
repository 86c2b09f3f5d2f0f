# Ages, sizes and failures of the backups for Prometheus and for `slipway verify`, on the loopback interface.
{ config, lib, ... }:
let
  backup = import ./lib.nix { inherit config lib; };
  inherit (backup) stacks;
  package = config.services.slipway.packages.slipway-backup;
  hardening = import ../../../nix/lib/hardening.nix;
  inherit (import ../database/lib.nix { inherit config lib; }) cluster;
in
{
  config = lib.mkIf (stacks != { }) {
    systemd.services.slipway-backup-exporter = {
      description = "Metrics and status of the backups";
      wantedBy = [ "multi-user.target" ];
      after = [ "network.target" ];
      # The configurations are read at the start.
      restartTriggers = map (name: config.environment.etc."slipway/backup/${name}.json".source) (
        lib.attrNames stacks
      );
      serviceConfig =
        hardening {
          # The archive's state comes over the server's socket. Members say who leads, and a repository elsewhere says whose it
          # is when the archive fails.
          addresses =
            if backup.archived != { } && backup.remote then
              [ "any" ]
            else
              [ "localhost" ] ++ lib.optionals cluster.member cluster.addresses;
          # The first look at a stack is noted.
          writable = map backup.folder (lib.attrNames stacks);
        }
        // {
          Type = "notify";
          ExecStart = "${package}/bin/slipway-backup exporter";
          User = backup.user;
          Group = backup.user;
          UMask = "0007";
          Restart = "always";
          RestartSec = 5;
          MemoryMax = "128M";
          TasksMax = 64;
        };
    };
  };
}
