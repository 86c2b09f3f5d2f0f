let
  # As the exporter's target, which is a unit itself.
  node = ''host="web-1",instance="web-1/node",job="node",unit="prometheus-node-exporter"'';
  failed = name: ''node_systemd_unit_state{${node},name="${name}",state="failed",type="simple"}'';
  restarts = name: ''node_systemd_service_restart_total{${node},name="${name}"}'';
  job = metric: ''slipway_job_${metric}{${node},stack="shop",exported_job="report"}'';
  labels = {
    host = "web-1";
    instance = "web-1/node";
    job = "node";
  };
  ofJob = labels // {
    stack = "shop";
    exported_job = "report";
    unit = "shop-report";
  };
in
{
  UnitFailed = {
    fault.series = {
      ${failed "sshd.service"} = "0 1x20";
      ${failed "fstrim.timer"} = "1x20";
      ${failed "shop-admin.service"} = "1x20";
      # A stack would like the alert on another unit to be about a job of its own.
      ${''slipway_job_failed{host="web-1",job="stack",stack="shop",exported_job="admin"}''} = "1x20";
    };
    fault.alerts = [
      {
        labels = labels // {
          name = "sshd.service";
          state = "failed";
          type = "simple";
          unit = "sshd";
        };
        summary = "sshd of web-1 has failed.";
      }
      {
        labels = labels // {
          name = "fstrim.timer";
          state = "failed";
          type = "simple";
          unit = "fstrim.timer";
        };
        summary = "fstrim.timer of web-1 has failed.";
      }
      {
        labels = labels // {
          name = "shop-admin.service";
          state = "failed";
          type = "simple";
          unit = "shop-admin";
        };
        summary = "shop-admin of web-1 has failed.";
      }
    ];
    healthy.series = {
      ${failed "sshd.service"} = "0x20";
      ${failed "cron.service"} = "0 1 0x20";
    };
  };
  UnitRestarts = {
    fault.series.${restarts "shop-api-1.service"} = "0+1x20";
    fault.minutes = 10;
    fault.alerts = [
      {
        labels = labels // {
          name = "shop-api-1.service";
          unit = "shop-api-1";
        };
        summary = "systemd has restarted shop-api-1 of web-1 10 times within minutes.";
      }
    ];
    # Twice; and a rough start long ago.
    healthy.series = {
      ${restarts "shop-api-1.service"} = "0x3 1x5 2x40";
      ${restarts "shop-worker-1.service"} = "0 7x40";
    };
    healthy.minutes = 20;
  };
  # The units of the job are failed as well, and are no alert of their own.
  JobFailed = {
    fault.series = {
      ${job "failed"} = "1x20";
      ${failed "shop-report.service"} = "1x20";
    };
    fault.minutes = 5;
    fault.alerts = [
      {
        labels = ofJob;
        summary = "The last run of the job shop-report on web-1 failed.";
      }
    ];
    healthy.series.${job "failed"} = "0x20";
  };
  JobLate = {
    fault.series = {
      ${job "late"} = "1x20";
      ${job "failed"} = "0x20";
      ${failed "shop-report-late.service"} = "1x20";
    };
    fault.minutes = 5;
    fault.alerts = [
      {
        labels = ofJob;
        summary = "No run of the job shop-report on web-1 has succeeded for too long.";
      }
    ];
    healthy.series = {
      ${job "late"} = "0x20";
      ${failed "shop-report-late.service"} = "0x20";
    };
  };
}
