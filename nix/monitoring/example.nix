# Configurations for teams without NixOS to begin with: one host that watches itself and another one, and a team that is
# told by a webhook and by e-mail. Only builtins.
let
  scrapes = import ./scrapes.nix;
  alerts = import ./alertmanager.nix;

  interval = "${toString scrapes.defaults.intervalSeconds}s";
  target = job: address: {
    inherit job address;
    unit = null;
    # True for the workers of a control plane of Slipway.
    fleet = false;
    path = "/metrics";
    params = { };
    labels = { };
  };
in
{
  prometheus = {
    global = {
      scrape_interval = interval;
      evaluation_interval = interval;
    };
    rule_files = [ "rules.yaml" ];
    alerting.alertmanagers = [ { static_configs = [ { targets = [ "127.0.0.1:9093" ]; } ]; } ];
    scrape_configs = [
      (scrapes.targets (
        scrapes.defaults
        // {
          host = "monitor";
          targets = [
            (target "node" "127.0.0.1:9100")
            (target "prometheus" "127.0.0.1:9090")
            (target "alertmanager" "127.0.0.1:9093")
            (target "blackbox" "127.0.0.1:9115")
          ];
        }
      ))
      (scrapes.targets (
        scrapes.defaults
        // {
          host = "app-1";
          targets = [
            (target "node" "10.1.0.11:9100")
            (
              target "stack" "10.1.0.11:9400"
              // {
                unit = "shop-api-1";
                labels = {
                  stack = "shop";
                  service = "api";
                };
              }
            )
          ];
        }
      ))
      (scrapes.probes (
        scrapes.defaults
        // {
          host = "app-1";
          exporter = "127.0.0.1:9115";
          probes = [
            {
              stack = "shop";
              domain = "shop.example.com";
              url = "https://shop.example.com/";
              kind = "ok";
            }
          ];
        }
      ))
    ];
  };

  alertmanager = alerts.configuration {
    global = {
      smtp_smarthost = "smtp.example.com:587";
      smtp_from = "alerts@example.com";
      smtp_auth_username = "alerts@example.com";
      smtp_auth_password_file = "/etc/alertmanager/smtp-password";
    };
    templates = [ "notifications.tmpl" ];
    receivers = [
      {
        name = "ops";
        webhook_configs = [
          {
            url = "http://127.0.0.1:8080/alerts";
            http_config.authorization.credentials_file = "/etc/alertmanager/webhook-token";
          }
        ];
      }
      {
        name = "shop-team";
        email_configs = [ (alerts.email "shop@example.com") ];
      }
    ];
    severities = {
      page = [ "ops" ];
      ticket = [ "ops" ];
    };
    routes = [
      {
        stacks = [ "shop" ];
        hosts = [ ];
        alerts = [ ];
        severities = [ "ticket" ];
        receivers = [ "shop-team" ];
        continue = false;
      }
    ];
    grouping = alerts.grouping;
    deadMansSwitch.receiver = null;
  };

  blackbox = import ./blackbox.nix { };
}
