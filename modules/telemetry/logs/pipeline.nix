# The shipper's configuration as data: where lines come from, what becomes of them, where they go.
#
#   pipeline { lib, … } -> settings of services.fluent-bit
{ lib }:
{
  # The script of fields.lua with this host's facts.
  script,
  stateDirectory,
  # Lines of the journal at once.
  batch,
  # Whether there are access logs of proxies to follow.
  accessLogs,
  metrics,
  bufferMiB,
  # [ { name, host, port, tls, path, timeKey, … } ]
  destinations,
}:
let
  inherit (lib) optional optionals;

  lua = match: call: {
    name = "lua";
    inherit match call script;
    # Whole numbers stay whole.
    type_int_key = "status pid latency_ms";
  };
  labelled = map (label: "${label} \$${label}");
  count =
    match: settings:
    {
      name = "log_to_metrics";
      inherit match;
      metric_mode = "counter";
      # slipway_<subsystem>_<name>.
      metric_namespace = "slipway";
      tag = "metrics";
      # Written out together: a line a metric would be more work than the line itself.
      flush_interval_sec = 5;
      emitter_mem_buf_limit = "10M";
    }
    // settings;
  origin = labelled [
    "stack"
    "service"
  ];
  route = labelled [
    "stack"
    "domain"
    "route"
  ];

  input =
    name: settings:
    {
      inherit name;
      "storage.type" = "filesystem";
    }
    // settings;

  output =
    destination:
    {
      name = "es";
      alias = destination.name;
      match_regex = "^(journal|access)$";
      inherit (destination) host port;
      suppress_type_name = "on";
      time_key = destination.timeKey;
      time_key_nanos = "on";
      compress = "gzip";
      # The answer to a batch names every line of it.
      buffer_size = "8M";
      # What the destination refuses waits in the buffer as well: only its bound drops lines, the oldest first.
      retry_limit = "no_limits";
      "storage.total_limit_size" = "${toString bufferMiB}M";
      "net.connect_timeout" = 10;
      "net.io_timeout" = 30;
      workers = 1;
    }
    // destination.settings;
in
{
  service = {
    flush = 1;
    grace = 10;
    log_level = "warn";
    "scheduler.base" = 1;
    "scheduler.cap" = 15;
    "storage.path" = "${stateDirectory}/buffer";
    "storage.sync" = "normal";
    # A checksum is written when a piece is closed: after a kill the open one would count as damaged, with all its lines.
    "storage.checksum" = "off";
    # In memory are at most this many pieces of 2 MiB, however long an outage lasts.
    "storage.max_chunks_up" = 16;
    "storage.backlog.mem_limit" = "16M";
    "storage.metrics" = "on";
    # A damaged piece is put aside, and the rest goes on.
    "storage.delete_irrecoverable_chunks" = "on";
  };
  parsers = [
    {
      name = "slipway-line";
      format = "json";
    }
    {
      name = "slipway-access";
      format = "json";
      time_key = "time";
      time_format = "%Y-%m-%dT%H:%M:%S%z";
    }
  ];
  pipeline = {
    inputs = [
      (input "systemd" {
        alias = "journal";
        tag = "journal";
        db = "${stateDirectory}/journal.db";
        # It writes its place once a second.
        "db.sync" = "normal";
        # At the very first start the journal of before stays where it is.
        read_from_tail = "on";
        max_entries = batch;
      })
    ]
    ++ optional accessLogs (
      input "tail" {
        alias = "access";
        tag = "access";
        path = "/var/log/nginx/stacks/*.json,/var/log/nginx/stacks/*.json.1";
        path_key = "file";
        parser = "slipway-access";
        db = "${stateDirectory}/access.db";
        "db.locking" = "on";
        # A file that a rotation made while the shipper was down.
        read_from_head = "on";
        refresh_interval = 5;
        buffer_chunk_size = "64k";
        buffer_max_size = "256k";
        skip_long_lines = "on";
      }
    )
    ++ optionals (metrics != null) [
      {
        name = "fluentbit_metrics";
        tag = "metrics";
        scrape_interval = 10;
      }
    ];
    filters = [
      (lua "journal" "from_journal")
      {
        name = "parser";
        match = "journal";
        key_name = "slipway:json";
        parser = "slipway-line";
        reserve_data = "on";
      }
      (lua "journal" "finish")
    ]
    ++ optional accessLogs (lua "access" "from_access")
    ++ optionals (metrics != null) (
      [
        (count "journal" {
          metric_subsystem = "log";
          metric_name = "lines_total";
          metric_description = "Lines of the journal by origin and level.";
          add_label = origin ++ [
            "unit $metric_unit"
            "level $level"
          ];
        })
        (count "journal" {
          metric_subsystem = "log";
          metric_name = "events_total";
          metric_description = "Lines that tell of an event: oom_kill, unit_oom_kill, auth_failure.";
          regex = "metric_event ^[a-z_]+$";
          add_label = origin ++ [
            "unit $metric_unit"
            "event $metric_event"
          ];
        })
      ]
      ++ optionals accessLogs [
        (count "access" {
          metric_subsystem = "proxy";
          metric_name = "requests_total";
          metric_description = "Requests that nginx answered, by route.";
          add_label = route ++ [
            "method $metric_method"
            "status $metric_status"
          ];
        })
        (count "access" {
          metric_mode = "histogram";
          metric_subsystem = "proxy";
          metric_name = "request_duration_seconds";
          metric_description = "Seconds from a request's first byte to its answer's last, by route.";
          value_field = "seconds";
          bucket = map toString [
            "0.005"
            "0.025"
            "0.1"
            "0.25"
            "0.5"
            "1"
            "2.5"
            "5"
            "10"
            "30"
            "120"
          ];
          add_label = route;
        })
      ]
    )
    ++ [
      {
        name = "record_modifier";
        match_regex = "^(journal|access)$";
        remove_key = [
          "metric_unit"
          "metric_event"
          "metric_method"
          "metric_status"
        ];
      }
    ];
    outputs =
      map output destinations
      ++ optional (metrics != null) {
        name = "prometheus_exporter";
        match = "metrics";
        host = "127.0.0.1";
        port = metrics;
      };
  };
}
