let
  node = ''host="web-1",instance="web-1/node",job="node"'';
  disk = path: ''${node},device="/dev/vda1",fstype="ext4",mountpoint="${path}"'';
  kills =
    host: unit:
    ''slipway_log_events_total{host="${host}",job="logs",event="oom_kill",unit="slipway-logs",exported_unit="${unit}"}'';
  labels = {
    host = "web-1";
    instance = "web-1/node";
    job = "node";
  };
  ofDisk = labels // {
    device = "/dev/vda1";
    fstype = "ext4";
    mountpoint = "/";
  };
in
{
  HostDown = {
    # A reboot that is over within a minute, and one that is not.
    fault.series."up{${node}}" = "1 0 1 0x9";
    fault.minutes = 5;
    fault.alerts = [
      {
        inherit labels;
        summary = "web-1 does not answer.";
      }
    ];
    healthy.series."up{${node}}" = "1x4 0 1x9";
  };
  MemoryLow = {
    fault.series = {
      "node_memory_MemAvailable_bytes{${node}}" = "268435456x20";
      "node_memory_MemTotal_bytes{${node}}" = "8589934592x20";
    };
    fault.alerts = [
      {
        inherit labels;
        summary = "web-1 has 3.1 % of its memory left.";
      }
    ];
    healthy.series = {
      "node_memory_MemAvailable_bytes{${node}}" = "859000000x20";
      "node_memory_MemTotal_bytes{${node}}" = "8589934592x20";
    };
  };
  MemoryPressure = {
    # 30 of 60 seconds.
    fault.series."node_pressure_memory_stalled_seconds_total{${node}}" = "0+30x20";
    fault.minutes = 12;
    fault.alerts = [
      {
        inherit labels;
        summary = "web-1 stands still 50 % of the time for lack of memory.";
      }
    ];
    healthy.series."node_pressure_memory_stalled_seconds_total{${node}}" = "0+3x20";
  };
  MemoryKills = {
    fault.series = {
      "node_vmstat_oom_kill{${node}}" = "4 4 5x20";
      # A counter that the first event creates.
      ${kills "web-2" "shop-api-1"} = "_ _ 1x20";
      ${kills "web-2" "cron"} = "3 3 3 4x20";
      ${''node_vmstat_oom_kill{host="web-2",job="node"}''} = "4 4 6x20";
    };
    fault.minutes = 5;
    fault.alerts = [
      {
        labels.host = "web-1";
        summary = "The kernel killed a process of web-1 for lack of memory.";
      }
      {
        labels = {
          host = "web-2";
          unit = "shop-api-1";
        };
        summary = "The kernel killed a process of web-2 for lack of memory: shop-api-1.";
      }
      {
        labels = {
          host = "web-2";
          unit = "cron";
        };
        summary = "The kernel killed a process of web-2 for lack of memory: cron.";
      }
    ];
    # Of long ago.
    healthy.series = {
      "node_vmstat_oom_kill{${node}}" = "4x40";
      ${kills "web-1" "cron"} = "3x40";
    };
    healthy.minutes = 20;
  };
  DiskFillsUp = {
    # 30 GiB of 100 left, and 2 GiB less each hour.
    fault.series = {
      "node_filesystem_avail_bytes{${disk "/"}}" = "32212254720-35791394x120";
      "node_filesystem_size_bytes{${disk "/"}}" = "107374182400x120";
    };
    fault.minutes = 60;
    fault.alerts = [
      {
        labels = ofDisk;
        summary = "/ of web-1 will be full within a day or so.";
      }
    ];
    # The root grows slowly. The other disk may be full within a day, but half of it is free, so it has time to slow down.
    # What is in memory is no disk.
    healthy.series = {
      "node_filesystem_avail_bytes{${disk "/"}}" = "32212254720-1000000x120";
      "node_filesystem_size_bytes{${disk "/"}}" = "107374182400x120";
      "node_filesystem_avail_bytes{${disk "/srv"}}" = "53687091200-53687091x120";
      "node_filesystem_size_bytes{${disk "/srv"}}" = "107374182400x120";
      ${''node_filesystem_avail_bytes{${node},device="tmpfs",fstype="tmpfs",mountpoint="/run"}''} =
        "1000000-10000x120";
      ${''node_filesystem_size_bytes{${node},device="tmpfs",fstype="tmpfs",mountpoint="/run"}''} =
        "10000000x120";
    };
    healthy.minutes = 60;
  };
  DiskAlmostFull = {
    fault.series = {
      "node_filesystem_avail_bytes{${disk "/"}}" = "4294967296x20";
      "node_filesystem_size_bytes{${disk "/"}}" = "107374182400x20";
      # On NixOS the same disk once more.
      "node_filesystem_avail_bytes{${disk "/nix/store"}}" = "4294967296x20";
      "node_filesystem_size_bytes{${disk "/nix/store"}}" = "107374182400x20";
    };
    fault.alerts = [
      {
        labels = ofDisk;
        summary = "/ of web-1 has 4.0 % free.";
      }
    ];
    healthy.series = {
      "node_filesystem_avail_bytes{${disk "/"}}" = "6442450944x20";
      "node_filesystem_size_bytes{${disk "/"}}" = "107374182400x20";
    };
  };
  InodesAlmostGone = {
    fault.series = {
      "node_filesystem_files_free{${disk "/"}}" = "60000x20";
      "node_filesystem_files{${disk "/"}}" = "6000000x20";
    };
    fault.alerts = [
      {
        labels = ofDisk;
        summary = "/ of web-1 has inodes left for 1.0 % of its files.";
      }
    ];
    # The other one is btrfs.
    healthy.series = {
      "node_filesystem_files_free{${disk "/"}}" = "3000000x20";
      "node_filesystem_files{${disk "/"}}" = "6000000x20";
      "node_filesystem_files_free{${disk "/srv"}}" = "0x20";
      "node_filesystem_files{${disk "/srv"}}" = "0x20";
    };
  };
  RaidDegraded = {
    # One disk of md0 is gone. A spare took over from a failed one of md1.
    fault.series = {
      ${''node_md_disks_required{${node},device="md0"}''} = "2x20";
      ${''node_md_disks{${node},device="md0",state="active"}''} = "2 1x20";
      ${''node_md_disks{${node},device="md0",state="failed"}''} = "0x20";
      ${''node_md_disks_required{${node},device="md1"}''} = "2x20";
      ${''node_md_disks{${node},device="md1",state="active"}''} = "2x20";
      ${''node_md_disks{${node},device="md1",state="failed"}''} = "1x20";
    };
    fault.alerts = [
      {
        labels = labels // {
          device = "md0";
        };
        summary = "md0 of web-1 lacks disks: 1 failed or missing.";
      }
      {
        labels = labels // {
          device = "md1";
        };
        summary = "md1 of web-1 lacks disks: 1 failed or missing.";
      }
    ];
    # With a spare.
    healthy.series = {
      ${''node_md_disks_required{${node},device="md0"}''} = "2x20";
      ${''node_md_disks{${node},device="md0",state="active"}''} = "2x20";
      ${''node_md_disks{${node},device="md0",state="failed"}''} = "0x20";
      ${''node_md_disks{${node},device="md0",state="spare"}''} = "1x20";
    };
  };
  RebootChangesSystem = {
    fault.series = {
      "slipway_host_live_is_boot_default{${node}}" = "1 0x60";
      "slipway_host_boot_generation{${node}}" = "7x60";
    };
    fault.minutes = 40;
    fault.alerts = [
      {
        inherit labels;
        summary = "A reboot of web-1 would bring another system than the one that runs.";
      }
    ];
    # Somebody tries a system for a quarter of an hour. The other host boots from the network.
    healthy.series = {
      "slipway_host_live_is_boot_default{${node}}" = "1 0x15 1x60";
      "slipway_host_boot_generation{${node}}" = "7x80";
      ${''slipway_host_live_is_boot_default{host="netboot",job="node"}''} = "0x80";
    };
    healthy.minutes = 45;
  };
  ClockSkew = {
    # Five seconds ahead.
    fault.series."node_time_seconds{${node}}" = "5+60x20";
    fault.alerts = [
      {
        inherit labels;
        summary = "The clock of web-1 is 5.0 s away from the monitoring host's.";
      }
    ];
    healthy.series."node_time_seconds{${node}}" = "0.4+60x120";
  };
  ClockUnsynchronised = {
    fault.series = {
      "node_timex_sync_status{${node}}" = "0x20";
      "node_timex_maxerror_seconds{${node}}" = "16x20";
    };
    fault.alerts = [
      {
        inherit labels;
        summary = "Nothing sets the clock of web-1.";
      }
    ];
    # Just booted, and one that is asked between two corrections.
    healthy.series = {
      ${''node_timex_sync_status{host="other"}''} = "0x40";
      ${''node_timex_maxerror_seconds{host="other"}''} = "3x40";
      "node_timex_sync_status{${node}}" = "0x2 1x20";
      "node_timex_maxerror_seconds{${node}}" = "16x2 0.02x20";
    };
  };
}
