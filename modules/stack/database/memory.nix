# The server's share of memory: from services.slipway.database.memoryMiB, or from what the host has when it boots.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  database = import ./lib.nix { inherit config lib; };
  inherit (database) here server;
  hardening = import ../../../nix/lib/hardening.nix;
  connections = server.maxConnections;
  size = import ./sizing.nix { inherit lib; };
  file = "/run/slipway-database/memory.conf";

  # The same numbers as sizing.nix, in the shell, since only the running host knows its memory.
  script = pkgs.writeShellScript "slipway-database-memory" ''
    set -eu
    while read -r name value _; do
      [ "$name" = MemTotal: ] && total=$((value / 1024)) && break
    done < /proc/meminfo
    memory=$((total / 2))
    [ "$memory" -ge 128 ] || memory=128
    buffers=$((memory / 4))
    maintenance=$((memory / 16)); [ "$maintenance" -le 2048 ] || maintenance=2048; [ "$maintenance" -ge 16 ] || maintenance=16
    work=$(((memory - buffers) * 1024 / (3 * ${toString connections}))); [ "$work" -ge 4096 ] || work=4096
    printf "shared_buffers = '%dMB'\neffective_cache_size = '%dMB'\nmaintenance_work_mem = '%dMB'\nwork_mem = '%dkB'\n" \
      "$buffers" $((memory * 3 / 4)) "$maintenance" "$work" > ${file}
  '';
in
{
  config = lib.mkMerge [
    (lib.mkIf (here && server.memoryMiB == null) {
      services.postgresql.settings.include_if_exists = file;
      systemd.services.slipway-database-memory = {
        description = "Size Postgres from the host's memory";
        before = [ database.unit ];
        requiredBy = [ database.unit ];
        serviceConfig = hardening { kernelFacts = true; } // {
          Type = "oneshot";
          RemainAfterExit = true;
          ExecStart = script;
          User = "postgres";
          Group = "postgres";
          RuntimeDirectory = "slipway-database";
          RuntimeDirectoryPreserve = true;
          UMask = "0022";
        };
      };
    })
    (lib.mkIf (here && server.memoryMiB != null) {
      services.postgresql.settings = lib.mapAttrs (_: lib.mkDefault) (size {
        inherit (server) memoryMiB;
        maxConnections = connections;
      });
    })
  ];
}
