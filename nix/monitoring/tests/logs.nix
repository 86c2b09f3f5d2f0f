let
  shipper = ''host="web-1",instance="web-1/slipway-logs",job="logs"'';
  lines =
    unit: level:
    ''slipway_log_lines_total{${shipper},level="${level}",service="api",stack="shop",unit="slipway-logs",exported_unit="${unit}"}'';
  events =
    event:
    ''slipway_log_events_total{${shipper},event="${event}",unit="slipway-logs",exported_unit="sshd"}'';
  store = ''host="mon",instance="mon/victorialogs",job="logs"'';
  output = metric: outputTo "store" metric;
  outputTo = name: metric: ''fluentbit_output_${metric}{${shipper},name="${name}"}'';
  labels = {
    host = "web-1";
    instance = "web-1/slipway-logs";
  };
in
{
  ErrorsInLogs = {
    fault.series = {
      ${lines "shop-api-1" "error"} = "0+40x40";
      ${lines "shop-api-1" "info"} = "0+4000x40";
    };
    fault.minutes = 10;
    fault.alerts = [
      {
        labels = {
          host = "web-1";
          service = "api";
          stack = "shop";
          unit = "shop-api-1";
        };
        summary = "shop-api-1 of web-1 has logged 400 errors within minutes.";
      }
    ];
    healthy.series = {
      ${lines "shop-api-1" "error"} = "0+2x40";
      ${lines "shop-worker-1" "error"} = "0 900x40";
      ${lines "shop-api-1" "info"} = "0+4000x40";
    };
    healthy.minutes = 20;
  };
  LoginsFail = {
    fault.series.${events "auth_failure"} = "0+60x40";
    fault.minutes = 10;
    fault.alerts = [
      {
        labels.host = "web-1";
        summary = "web-1 has refused 600 logins within minutes.";
      }
    ];
    # What strangers try at any address of the Internet; and an attack that is over.
    healthy.series = {
      ${events "auth_failure"} = "0+3x40";
      ${''slipway_log_events_total{host="past",job="logs",event="auth_failure"}''} = "0 900x40";
    };
    healthy.minutes = 20;
  };
  LogsDropped = {
    fault.series = {
      ${output "dropped_records_total"} = "0+20x20";
      ${''vl_rows_dropped_total{${store},reason="too_many_fields"}''} = "0+1x20";
    };
    fault.minutes = 10;
    fault.alerts = [
      {
        inherit labels;
        summary = "web-1/slipway-logs has dropped 200 lines of logs.";
      }
      {
        labels = {
          host = "mon";
          instance = "mon/victorialogs";
        };
        summary = "mon/victorialogs has dropped 10 lines of logs.";
      }
    ];
    # Of long ago.
    healthy.series = {
      ${output "dropped_records_total"} = "0 300x40";
      ${''vl_rows_dropped_total{${store},reason="too_many_fields"}''} = "3x40";
    };
    healthy.minutes = 20;
  };
  LogsNotSent = {
    fault.series = {
      ${output "retries_total"} = "0+4x20";
      ${output "proc_records_total"} = "5000x20";
      # The other destination works.
      ${outputTo "elasticsearch" "retries_total"} = "0x20";
      ${outputTo "elasticsearch" "proc_records_total"} = "0+5000x20";
    };
    fault.alerts = [
      {
        labels = labels // {
          name = "store";
        };
        summary = "The logs of web-1 do not reach store, and wait on the host.";
      }
    ];
    # Some have to be sent twice; and a host that has nothing to say.
    healthy.series = {
      ${output "retries_total"} = "0+1x40";
      ${output "proc_records_total"} = "0+500x40";
      ${''fluentbit_output_retries_total{host="quiet",instance="quiet/slipway-logs",job="logs"}''} =
        "7x40";
      ${''fluentbit_output_proc_records_total{host="quiet",instance="quiet/slipway-logs",job="logs"}''} =
        "5000x40";
    };
  };
  LogStoreFull = {
    fault.series.${''vl_storage_is_read_only{${store},path="/var/lib/victorialogs"}''} = "1x20";
    fault.alerts = [
      {
        labels = {
          host = "mon";
          instance = "mon/victorialogs";
          job = "logs";
          path = "/var/lib/victorialogs";
        };
        summary = "VictoriaLogs of mon takes no more logs: its disk is full.";
      }
    ];
    healthy.series.${''vl_storage_is_read_only{${store},path="/var/lib/victorialogs"}''} = "0x40";
  };
}
