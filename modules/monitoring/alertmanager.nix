# Alertmanager: the configuration of nix/monitoring/alertmanager.nix with this host's receivers. It sees secrets as
# credentials, and reads them from there: none is in the configuration.
{
  config,
  lib,
  ...
}:
let
  cfg = config.services.slipway.monitoring;
  alerts = import ../../nix/monitoring/alertmanager.nix;
  server = config.services.prometheus.alertmanager;
  address = "127.0.0.1:${toString server.port}";
  path = "/alertmanager";
  credential = name: "/run/credentials/alertmanager.service/${name}";
  present = lib.filterAttrs (_: value: value != null);

  tls = authority: lib.optionalAttrs (authority != null) { tls_config.ca_file = "${authority}"; };
  webhookOf =
    name: asked:
    {
      send_resolved = asked.sendResolved;
      http_config =
        lib.optionalAttrs (asked.webhook.tokenFile != null) {
          authorization.credentials_file = credential "${name}.webhook-token";
        }
        // tls asked.webhook.authority;
    }
    // (
      if asked.webhook.url == null then
        { url_file = credential "${name}.webhook-url"; }
      else
        { inherit (asked.webhook) url; }
    );
  slackOf =
    name: asked:
    alerts.slack
    // {
      send_resolved = asked.sendResolved;
      api_url_file = credential "${name}.slack-url";
    }
    // present { inherit (asked.slack) channel; };
  emailOf = asked: to: alerts.email to // { send_resolved = asked.sendResolved; };
  receiverOf =
    name: asked:
    asked.settings
    // {
      inherit name;
      email_configs = asked.settings.email_configs or [ ] ++ map (emailOf asked) asked.email;
      webhook_configs =
        asked.settings.webhook_configs or [ ]
        ++ lib.optional (asked.webhook != null) (webhookOf name asked);
      slack_configs =
        asked.settings.slack_configs or [ ] ++ lib.optional (asked.slack != null) (slackOf name asked);
    };

  # The module substitutes variables of the environment; there are none of ours.
  literally =
    value:
    if lib.isString value then
      lib.replaceStrings [ "$" ] [ "$$" ] value
    else if lib.isList value then
      map literally value
    else if lib.isAttrs value then
      lib.mapAttrs (_: literally) value
    else
      value;
in
{
  config = lib.mkIf cfg.enable {
    services.slipway.monitoring.addresses.alertmanager = "http://${address}${path}";
    services.slipway.telemetry.targets = [
      {
        job = "alertmanager";
        inherit address;
        path = "${path}/metrics";
      }
    ];

    services.prometheus.alertmanagers = [
      {
        path_prefix = path;
        static_configs = [ { targets = [ address ]; } ];
      }
    ];
    services.prometheus.alertmanager = {
      enable = true;
      listenAddress = "127.0.0.1";
      webExternalUrl = "${cfg.url}${path}/";
      # Alone, it has nobody to gossip with.
      extraFlags = lib.optional (server.clusterPeers == [ ]) "--cluster.listen-address=";
      configuration = literally (
        alerts.configuration {
          receivers = lib.mapAttrsToList receiverOf cfg.receivers;
          global = lib.optionalAttrs (cfg.smtp.host != null) (
            {
              smtp_smarthost = "${cfg.smtp.host}:${toString cfg.smtp.port}";
              smtp_from = cfg.smtp.from;
              smtp_require_tls = cfg.smtp.requireTls;
            }
            // present { smtp_auth_username = cfg.smtp.user; }
            // lib.optionalAttrs (cfg.smtp.passwordFile != null) {
              smtp_auth_password_file = credential "smtp-password";
            }
          );
          templates = [ "${../../nix/monitoring/notifications.tmpl}" ];
          inherit (cfg)
            severities
            routes
            grouping
            deadMansSwitch
            ;
        }
      );
    };

    systemd.services.alertmanager = {
      # A secret that comes late is found then.
      startLimitIntervalSec = lib.mkDefault 0;
      serviceConfig = {
        RestartSec = lib.mkDefault 5;
        MemoryMax = lib.mkDefault "256M";
        LoadCredential = map (secret: "${secret.name}:${secret.path}") cfg.credentials;
      };
    };
  };
}
