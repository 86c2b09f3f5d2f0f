# What the suites of the monitoring share.
{
  host,
  standIn,
  lib,
}:
rec {
  at = "services.slipway.monitoring";
  monitoring = options: {
    services.slipway.monitoring = lib.mkMerge [
      {
        enable = true;
        receivers.ops.webhook.url = "http://127.0.0.1:8080/alerts";
        severities = {
          page = lib.mkDefault [ "ops" ];
          ticket = [ "ops" ];
        };
      }
      options
    ];
  };
  # Another machine, as a flake has it.
  watched =
    name: options:
    let
      config = host [
        {
          networking.hostName = name;
          services.slipway.stacks.shop.services.web = {
            package = standIn "web";
            listen.port = 3000;
            metrics.port = 9400;
          };
          services.slipway.telemetry.door = {
            address = "10.1.0.11";
            clients = [ "10.1.0.30" ];
            name = "${name}.internal";
            certificate = "/etc/door.pem";
            key = "/run/secrets/door-key";
            authority = "/etc/authority.pem";
          };
        }
        options
      ];
    in
    {
      inherit config;
    };
  client.identity = {
    authority = "/etc/authority.pem";
    certificate = "/etc/monitor.pem";
    key = "/run/secrets/monitor-key";
  };
  people = {
    domain = "monitoring.example.com";
    passwordFile = "/run/secrets/passwords";
  };
  acme.security.acme = {
    acceptTerms = true;
    defaults.email = "ops@example.com";
  };
}
