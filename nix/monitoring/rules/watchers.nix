# Monitoring itself.
{
  DeadMansSwitch = {
    severity = "info";
    summary = "Always fires: whoever no longer hears it knows that alerts do not come through.";
    expr = _: "vector(1)";
  };
  RulesFail = {
    severity = "ticket";
    forSeconds = 300;
    summary = "Prometheus of {{ $labels.host }} cannot evaluate rules of {{ $labels.rule_group }}.";
    expr = _: ''increase(prometheus_rule_evaluation_failures_total{job="prometheus"}[5m]) > 0'';
  };
  ConfigurationRefused = {
    severity = "ticket";
    forSeconds = 60;
    summary = "{{ $labels.instance }} goes on with its old configuration: it cannot read the new one.";
    expr = _: ''
      prometheus_config_last_reload_successful{job="prometheus"} == 0
      or alertmanager_config_last_reload_successful{job="alertmanager"} == 0
    '';
  };
  AlertmanagerUnreachable = {
    severity = "page";
    forSeconds = 180;
    summary = "Prometheus of {{ $labels.host }} cannot hand alerts to an Alertmanager.";
    # Right after its start it drops the first alerts, until it knows where Alertmanager is.
    expr = _: ''
      prometheus_notifications_alertmanagers_discovered{job="prometheus"} < 1
      or increase(prometheus_notifications_dropped_total{job="prometheus"}[2m]) > 0
    '';
  };
  NotificationsFail = {
    severity = "page";
    forSeconds = 60;
    summary = "Alertmanager of {{ $labels.host }} cannot send over {{ $labels.integration }}.";
    expr =
      _:
      ''sum by (host, integration) (increase(alertmanager_notifications_failed_total{job="alertmanager"}[5m])) > 0'';
  };
  MetricsStoreFails = {
    severity = "ticket";
    forSeconds = 60;
    summary = "Prometheus of {{ $labels.host }} cannot keep its data: its disk is full or damaged.";
    expr = _: ''
      increase(prometheus_tsdb_compactions_failed_total{job="prometheus"}[3h]) > 0
      or increase(prometheus_tsdb_wal_writes_failed_total{job="prometheus"}[15m]) > 0
      or increase(prometheus_tsdb_wal_corruptions_total{job="prometheus"}[3h]) > 0
    '';
  };
}
