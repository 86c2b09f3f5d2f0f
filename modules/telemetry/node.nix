# The machine and its units, by node_exporter. Its systemd collector has what a second exporter would have (decision 90).
{ config, lib, ... }:
let
  cfg = config.services.slipway.telemetry;
  inherit (config.services.prometheus.exporters) node;
  listens = import ./listens.nix;
  quiet = import ./quiet.nix { inherit lib; };
in
{
  config = lib.mkIf cfg.enable {
    services.prometheus.exporters.node = {
      enable = true;
      listenAddress = lib.mkDefault "127.0.0.1";
      # Only what rules and dashboards read: the default ones cost as much again.
      enabledCollectors = [
        "cpu"
        "diskstats"
        "filesystem"
        "loadavg"
        "mdadm"
        "meminfo"
        "netdev"
        "netstat"
        "os"
        "pressure"
        "stat"
        "systemd"
        "textfile"
        "time"
        "timex"
        "uname"
        "vmstat"
      ];
      extraFlags = [
        "--collector.disable-defaults"
        "--collector.systemd.enable-restarts-metrics"
        # The systemd collector asks for each unit's type. Failures of all other kinds are in node_systemd_units.
        "--collector.systemd.unit-include='.+[.](service|timer|mount)'"
        "--collector.systemd.unit-exclude='(dev|proc|run|sys)-.+[.]mount'"
        # Those of containers come and go, and their room is that of the disk below.
        "--collector.filesystem.fs-types-exclude='^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|efivarfs|fusectl|hugetlbfs|mqueue|nsfs|overlay|proc|pstore|ramfs|rpc_pipefs|securityfs|squashfs|sysfs|tracefs)$$'"
        "--collector.netdev.device-exclude='^(lo|veth.*|cali.*)$$'"
      ];
    };
    systemd.services.prometheus-node-exporter = quiet { memoryMiB = 64; };
    services.slipway.telemetry.targets = [
      {
        job = "node";
        address = listens node;
        # Systemd answers a hundred questions a time.
        intervalSeconds = 30;
      }
    ];
  };
}
