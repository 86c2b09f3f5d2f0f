# The machines themselves.
let
  # Not the store: on NixOS it is a second view of a disk that is there already.
  disks = ''job="node",fstype!~"tmpfs|ramfs|devtmpfs|overlay|squashfs|iso9660|nsfs|autofs|fuse.*",mountpoint!="/nix/store"'';
in
{
  HostDown = {
    severity = "page";
    forSeconds = 45;
    labels.rollout = "explains";
    summary = "{{ $labels.host }} does not answer.";
    expr = _: ''up{job="node"} == 0'';
  };
  MemoryLow = {
    severity = "ticket";
    forSeconds = 600;
    thresholds.availablePercent = 7;
    summary = "{{ $labels.host }} has {{ printf \"%.1f\" $value }} % of its memory left.";
    expr =
      t:
      ''node_memory_MemAvailable_bytes{job="node"} / node_memory_MemTotal_bytes{job="node"} * 100 < ${t.availablePercent}'';
  };
  MemoryPressure = {
    severity = "page";
    forSeconds = 300;
    thresholds.stalledPercent = 20;
    summary = "{{ $labels.host }} stands still {{ printf \"%.0f\" $value }} % of the time for lack of memory.";
    expr =
      t: ''rate(node_pressure_memory_stalled_seconds_total{job="node"}[5m]) * 100 > ${t.stalledPercent}'';
  };
  MemoryKills = {
    severity = "ticket";
    thresholds.windowSeconds = 900;
    summary = "The kernel killed a process of {{ $labels.host }} for lack of memory{{ with $labels.unit }}: {{ . }}{{ end }}.";
    # The log knows the unit. The kernel's counter is for what the log missed; it counts the host as a whole.
    expr =
      t:
      let
        kills = ''slipway_log_events_total{job="logs",event=~"oom_kill|unit_oom_kill"}'';
        window = "${t.windowSeconds}s";
      in
      ''
        sum by (host, stack, service, unit) (label_replace(
        increase(${kills}[${window}]) > 0 or (${kills} unless ${kills} offset ${window})
        , "unit", "$1", "exported_unit", "(.*)"))
        or on (host)
        sum by (host) (increase(node_vmstat_oom_kill{job="node"}[${window}])) > 0
      '';
  };
  DiskFillsUp = {
    severity = "ticket";
    forSeconds = 900;
    thresholds = {
      hours = 24;
      freePercent = 40;
    };
    summary = "{{ $labels.mountpoint }} of {{ $labels.host }} will be full within a day or so.";
    expr = t: ''
      predict_linear(node_filesystem_avail_bytes{${disks}}[6h], ${t.hours} * 3600) < 0
      and node_filesystem_avail_bytes{${disks}} / node_filesystem_size_bytes{${disks}} * 100 < ${t.freePercent}
    '';
  };
  DiskAlmostFull = {
    severity = "page";
    forSeconds = 60;
    thresholds.freePercent = 5;
    summary = "{{ $labels.mountpoint }} of {{ $labels.host }} has {{ printf \"%.1f\" $value }} % free.";
    expr = t: ''
      node_filesystem_avail_bytes{${disks}} / node_filesystem_size_bytes{${disks}} * 100 < ${t.freePercent}
    '';
  };
  InodesAlmostGone = {
    severity = "ticket";
    forSeconds = 300;
    thresholds.freePercent = 5;
    summary = "{{ $labels.mountpoint }} of {{ $labels.host }} has inodes left for {{ printf \"%.1f\" $value }} % of its files.";
    # A file system without a table of inodes has 0 of 0, which is no number and fires nothing.
    expr = t: ''
      node_filesystem_files_free{${disks}} / node_filesystem_files{${disks}} * 100 < ${t.freePercent}
    '';
  };
  RaidDegraded = {
    severity = "ticket";
    forSeconds = 300;
    summary = "{{ $labels.device }} of {{ $labels.host }} lacks disks: {{ $value }} failed or missing.";
    # A disk that a spare has taken over from is still there, as a failed one.
    expr = _: ''
      node_md_disks_required{job="node"} - ignoring (state) node_md_disks{job="node",state="active"} > 0
      or sum without (state) (node_md_disks{job="node",state="failed"}) > 0
    '';
  };
  RebootChangesSystem = {
    severity = "ticket";
    forSeconds = 1800;
    labels.rollout = "explains";
    summary = "A reboot of {{ $labels.host }} would bring another system than the one that runs.";
    # A host that boots from the network has no generations.
    expr =
      _:
      ''slipway_host_live_is_boot_default{job="node"} == 0 and on (host) slipway_host_boot_generation{job="node"}'';
  };
  ClockSkew = {
    severity = "ticket";
    forSeconds = 120;
    thresholds.seconds = 2;
    summary = "The clock of {{ $labels.host }} is {{ printf \"%.1f\" $value }} s away from the monitoring host's.";
    expr =
      t: ''abs(node_time_seconds{job="node"} - timestamp(node_time_seconds{job="node"})) > ${t.seconds}'';
  };
  ClockUnsynchronised = {
    severity = "ticket";
    forSeconds = 600;
    thresholds.errorSeconds = 16;
    summary = "Nothing sets the clock of {{ $labels.host }}.";
    # The kernel lets the possible error grow while nobody corrects it, up to 16 s.
    expr =
      t:
      ''node_timex_sync_status{job="node"} == 0 and node_timex_maxerror_seconds{job="node"} >= ${t.errorSeconds}'';
  };
}
