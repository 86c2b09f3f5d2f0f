# The host watches itself. It can tell nobody that it is down: the service behind `deadMansSwitch` does.
{
  services.slipway.monitoring = {
    enable = true;
    domain = "monitoring.example.com";
    passwordFile = "/var/lib/secrets/monitoring-passwords";

    smtp = {
      host = "smtp.example.com";
      user = "alerts@example.com";
      passwordFile = "/var/lib/secrets/smtp-password";
    };
    receivers = {
      ops.email = [ "ops@example.com" ];
      healthchecks.webhook.urlFile = "/var/lib/secrets/healthchecks-url";
    };
    severities = {
      page = [ "ops" ];
      ticket = [ "ops" ];
    };
    deadMansSwitch.receiver = "healthchecks";
  };
}
