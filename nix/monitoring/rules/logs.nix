# What the shipper counts in logs, and the way of logs: fluent-bit on every host, VictoriaLogs where they are kept.
{
  ErrorsInLogs = {
    severity = "ticket";
    forSeconds = 120;
    thresholds = {
      lines = 100;
      windowSeconds = 600;
    };
    summary = "{{ $labels.unit }} of {{ $labels.host }} has logged {{ printf \"%.0f\" $value }} errors within minutes.";
    expr =
      t:
      ''sum by (host, stack, service, unit) (label_replace(increase(slipway_log_lines_total{job="logs",level="error"}[${t.windowSeconds}s]), "unit", "$1", "exported_unit", "(.*)")) > ${t.lines}'';
  };
  LoginsFail = {
    severity = "ticket";
    thresholds = {
      logins = 300;
      windowSeconds = 900;
    };
    summary = "{{ $labels.host }} has refused {{ printf \"%.0f\" $value }} logins within minutes.";
    expr =
      t:
      ''sum by (host) (increase(slipway_log_events_total{job="logs",event="auth_failure"}[${t.windowSeconds}s])) > ${t.logins}'';
  };
  LogsDropped = {
    severity = "ticket";
    thresholds.windowSeconds = 900;
    summary = "{{ $labels.instance }} has dropped {{ printf \"%.0f\" $value }} lines of logs.";
    expr = t: ''
      sum by (host, instance) (increase(fluentbit_output_dropped_records_total{job="logs"}[${t.windowSeconds}s])) > 0
      or sum by (host, instance) (increase(vl_rows_dropped_total{job="logs"}[${t.windowSeconds}s])) > 0
    '';
  };
  LogsNotSent = {
    severity = "ticket";
    forSeconds = 300;
    summary = "The logs of {{ $labels.host }} do not reach {{ $labels.name }}, and wait on the host.";
    expr = _: ''
      sum by (host, instance, name) (increase(fluentbit_output_retries_total{job="logs"}[5m])) > 0
      and sum by (host, instance, name) (increase(fluentbit_output_proc_records_total{job="logs"}[5m])) == 0
    '';
  };
  LogStoreFull = {
    severity = "ticket";
    forSeconds = 60;
    summary = "VictoriaLogs of {{ $labels.host }} takes no more logs: its disk is full.";
    expr = _: ''vl_storage_is_read_only{job="logs"} == 1'';
  };
}
