# The host that watches the fleet and itself. It reads from the flake what each host has, comes in by the hosts' doors, and
# keeps the logs that they send.
{
  config,
  lib,
  self,
  ...
}:
let
  fleet = import ./fleet.nix;
  secrets = ../../secrets/prod;
  inherit (config.services.slipway.agenix) files;
in
{
  imports = [ ./common.nix ];
  networking.hostName = "prod-monitor";

  # The terms of the certificate's issuer, and your address for its messages.
  security.acme = {
    acceptTerms = true;
    defaults.email = "ops@example.com";
  };

  services.slipway.monitoring = {
    enable = true;
    hosts = lib.filterAttrs (name: _: lib.hasPrefix "prod-" name) self.nixosConfigurations;
    domain = fleet.monitoring;
    passwordFile = files.monitoring-passwords.path;
    identity = {
      inherit (fleet) authority;
      certificate = fleet.certificates.monitor;
      key = files.monitor-key.path;
    };
    logs.door = {
      address = fleet.addresses.monitor;
      clients = lib.attrValues (removeAttrs fleet.addresses [ "monitor" ]);
      inherit (fleet) authority;
      certificate = fleet.certificates.monitor;
      key = files.monitor-key.path;
    };

    smtp = {
      host = "smtp.example.com";
      user = "alerts@example.com";
      passwordFile = files.smtp-password.path;
    };
    receivers = {
      ops.email = [ "ops@example.com" ];
      healthchecks.webhook.urlFile = files.healthchecks-url.path;
    };
    severities = {
      page = [ "ops" ];
      ticket = [ "ops" ];
    };
    # Somebody outside notices when this host is down.
    deadMansSwitch.receiver = "healthchecks";
  };

  # No process of a stack is here to judge a release by.
  services.slipway.agent.checks = {
    Prometheus = {
      type = "systemd";
      unit = "prometheus.service";
    };
    Alertmanager = {
      type = "systemd";
      unit = "alertmanager.service";
    };
  };

  services.slipway.agenix.files = {
    monitor-key = {
      file = secrets + "/monitor-key.age";
      restartUnits = [
        "prometheus"
        "slipway-logs-door"
      ];
    };
    monitoring-passwords = {
      file = secrets + "/monitoring-passwords.age";
      owner = "nginx";
    };
    smtp-password = {
      file = secrets + "/smtp-password.age";
      restartUnits = [ "alertmanager" ];
    };
    healthchecks-url = {
      file = secrets + "/healthchecks-url.age";
      restartUnits = [ "alertmanager" ];
    };
  };
}
