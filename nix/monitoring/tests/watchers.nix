let
  prometheus = ''host="mon",instance="mon/prometheus",job="prometheus"'';
  alertmanager = ''host="mon",instance="mon/alertmanager",job="alertmanager"'';
  labels = {
    host = "mon";
    instance = "mon/prometheus";
    job = "prometheus";
  };
in
{
  # It has no healthy state without it: that is what it is for.
  DeadMansSwitch = {
    fault.series = { };
    fault.alerts = [
      {
        labels = { };
        summary = "Always fires: whoever no longer hears it knows that alerts do not come through.";
      }
    ];
  };
  RulesFail = {
    fault.series.${''prometheus_rule_evaluation_failures_total{${prometheus},rule_group="hosts"}''} =
      "0+4x20";
    fault.alerts = [
      {
        labels = labels // {
          rule_group = "hosts";
        };
        summary = "Prometheus of mon cannot evaluate rules of hosts.";
      }
    ];
    healthy.series.${''prometheus_rule_evaluation_failures_total{${prometheus},rule_group="hosts"}''} =
      "2x20";
  };
  ConfigurationRefused = {
    fault.series = {
      "prometheus_config_last_reload_successful{${prometheus}}" = "0x20";
      "alertmanager_config_last_reload_successful{${alertmanager}}" = "0x20";
    };
    fault.alerts = [
      {
        inherit labels;
        summary = "mon/prometheus goes on with its old configuration: it cannot read the new one.";
      }
      {
        labels = {
          host = "mon";
          instance = "mon/alertmanager";
          job = "alertmanager";
        };
        summary = "mon/alertmanager goes on with its old configuration: it cannot read the new one.";
      }
    ];
    healthy.series = {
      "prometheus_config_last_reload_successful{${prometheus}}" = "1x20";
      "alertmanager_config_last_reload_successful{${alertmanager}}" = "1x20";
    };
  };
  AlertmanagerUnreachable = {
    fault.series = {
      "prometheus_notifications_alertmanagers_discovered{${prometheus}}" = "1x20";
      "prometheus_notifications_dropped_total{${prometheus}}" = "0+3x20";
    };
    fault.alerts = [
      {
        inherit labels;
        summary = "Prometheus of mon cannot hand alerts to an Alertmanager.";
      }
    ];
    healthy.series = {
      "prometheus_notifications_alertmanagers_discovered{${prometheus}}" = "1x20";
      "prometheus_notifications_dropped_total{${prometheus}}" = "0 0 30x20";
    };
  };
  NotificationsFail = {
    fault.series.${''alertmanager_notifications_failed_total{${alertmanager},integration="email",reason="other"}''} =
      "0+1x20";
    fault.alerts = [
      {
        labels = {
          host = "mon";
          integration = "email";
        };
        summary = "Alertmanager of mon cannot send over email.";
      }
    ];
    healthy.series.${''alertmanager_notifications_failed_total{${alertmanager},integration="email"}''} =
      "0x20";
  };
  MetricsStoreFails = {
    fault.series = {
      "prometheus_tsdb_compactions_failed_total{${prometheus}}" = "0 1x20";
      "prometheus_tsdb_wal_writes_failed_total{${prometheus}}" = "0x20";
      "prometheus_tsdb_wal_corruptions_total{${prometheus}}" = "0x20";
    };
    fault.alerts = [
      {
        inherit labels;
        summary = "Prometheus of mon cannot keep its data: its disk is full or damaged.";
      }
    ];
    healthy.series = {
      "prometheus_tsdb_compactions_failed_total{${prometheus}}" = "0x20";
      "prometheus_tsdb_wal_writes_failed_total{${prometheus}}" = "0x20";
      "prometheus_tsdb_wal_corruptions_total{${prometheus}}" = "1x20";
    };
  };
}
