# Grafana with our data sources and dashboards. Nothing in it is made by hand, so a new host has all of it at once.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.services.slipway.monitoring;
  externalPath = import ../../nix/lib/external-path.nix { inherit lib; };
  own = config.services.grafana;
  active = cfg.enable && cfg.grafana.enable;
  inherit (own.settings.server) http_addr http_port;
  address = "${http_addr}:${toString http_port}";
  path = "/grafana";
  ownKey = "${own.dataDir}/secret-key";
  json = pkgs.formats.json { };
  hasLogs = cfg.logs.enable;

  credential = name: "$__file{/run/credentials/grafana.service/${name}}";
  folder = pkgs.linkFarm "dashboards" (
    lib.mapAttrs' (
      name: dashboard: lib.nameValuePair "${name}.json" (json.generate "${name}.json" dashboard)
    ) cfg.grafana.dashboards
  );
in
{
  options.services.slipway.monitoring.grafana = {
    enable = mkOption {
      type = types.bool;
      default = cfg.grafana.adminPasswordFile != null;
      defaultText = lib.literalMD "true where `adminPasswordFile` is set";
      example = false;
      description = ''
        Whether Grafana shows the metrics and logs, at `/grafana/` of `domain`. It is `services.grafana`, so all its options
        hold. For a Grafana of your own elsewhere, `deploy/monitoring/dashboards` has the dashboards.
      '';
    };
    adminPasswordFile = mkOption {
      type = types.nullOr externalPath;
      default = null;
      example = "/run/agenix/grafana-admin-password";
      description = ''
        A file outside the Nix store with the password of the user `admin`. Grafana reads it at its first start; to change it
        later, run `grafana cli admin reset-admin-password`.
      '';
    };
    secretKeyFile = mkOption {
      type = types.nullOr externalPath;
      default = null;
      defaultText = lib.literalMD "null: a key that the host makes at the first start and keeps with Grafana's database";
      example = "/run/agenix/grafana-secret-key";
      description = "A file outside the Nix store with the key that encrypts passwords in Grafana's database.";
    };
    dashboards = mkOption {
      type = types.attrsOf json.type;
      example = lib.literalExpression "{ shop = lib.importJSON ./shop.json; }";
      description = "Dashboards as Grafana's JSON, by file name. Slipway's own are among them.";
    };
  };

  config = lib.mkMerge [
    { services.slipway.monitoring.grafana.dashboards = (import ../../nix/monitoring).dashboards; }
    (lib.mkIf active {
      services.grafana = {
        enable = true;
        declarativePlugins = lib.mkIf hasLogs [
          pkgs.grafanaPlugins.victoriametrics-logs-datasource
        ];
        settings = {
          server = {
            http_addr = lib.mkDefault "127.0.0.1";
            domain = lib.mkIf (cfg.domain != null) (lib.mkDefault cfg.domain);
            root_url = lib.mkDefault (
              if cfg.domain == null then "http://${address}${path}/" else "https://${cfg.domain}${path}/"
            );
            serve_from_sub_path = true;
          };
          security = {
            admin_password = credential "admin-password";
            secret_key =
              if cfg.grafana.secretKeyFile == null then "$__file{${ownKey}}" else credential "secret-key";
            cookie_secure = lib.mkDefault (cfg.domain != null);
            cookie_samesite = lib.mkDefault "strict";
            content_security_policy = lib.mkDefault true;
            disable_gravatar = lib.mkDefault true;
          };
          users.allow_sign_up = lib.mkDefault false;
          # It asks nobody outside: no news, no updates, no plugins but those of the configuration.
          analytics = {
            reporting_enabled = lib.mkDefault false;
            check_for_updates = lib.mkDefault false;
            check_for_plugin_updates = lib.mkDefault false;
            feedback_links_enabled = lib.mkDefault false;
          };
          news.news_feed_enabled = lib.mkDefault false;
          plugins.preinstall_disabled = lib.mkDefault true;
        };
        provision = {
          enable = true;
          datasources.settings = {
            apiVersion = 1;
            datasources = [
              {
                name = "Metrics";
                uid = "slipway-metrics";
                type = "prometheus";
                url = cfg.addresses.prometheus;
                isDefault = true;
                jsonData = {
                  httpMethod = "POST";
                  timeInterval = "${toString cfg.scrape.intervalSeconds}s";
                };
              }
              {
                name = "Alerts";
                uid = "slipway-alerts";
                type = "alertmanager";
                url = cfg.addresses.alertmanager;
                jsonData.implementation = "prometheus";
              }
            ]
            ++ lib.optional hasLogs {
              name = "Logs";
              uid = "slipway-logs";
              type = "victoriametrics-logs-datasource";
              url = "http://${config.services.victorialogs.listenAddress}";
            };
          };
          dashboards.settings = {
            apiVersion = 1;
            providers = [
              {
                name = "Slipway";
                folder = "Slipway";
                options.path = folder;
              }
            ];
          };
        };
      };

      systemd.services.grafana = {
        # The key must outlive a restart, or Grafana cannot read what it encrypted.
        preStart = lib.mkIf (cfg.grafana.secretKeyFile == null) (
          lib.mkBefore ''
            if ! [ -s ${ownKey} ]; then
              (umask 077 && head -c 32 /dev/urandom | base64 > ${ownKey}.new)
              mv ${ownKey}.new ${ownKey}
            fi
          ''
        );
        serviceConfig = {
          LoadCredential = [
            "admin-password:${cfg.grafana.adminPasswordFile}"
          ]
          ++ lib.optional (cfg.grafana.secretKeyFile != null) "secret-key:${cfg.grafana.secretKeyFile}";
          MemoryMax = lib.mkDefault "1G";
        };
      };

      services.nginx.virtualHosts = lib.mkIf (cfg.domain != null) {
        ${cfg.domain}.locations = {
          "/".return = "302 ${path}/";
          # Grafana has accounts of its own.
          "${path}/" = {
            proxyPass = "http://${address}";
            proxyWebsockets = true;
            recommendedProxySettings = true;
          };
          # It would give these to everybody, and those of its plugins below.
          "= ${path}/metrics".return = "404";
          "^~ ${path}/metrics/".return = "404";
        };
      };

      services.slipway.telemetry.targets = [
        {
          job = "grafana";
          inherit address;
          path = "${path}/metrics";
        }
      ];

      services.slipway.monitoring.secrets = [
        {
          option = "services.slipway.monitoring.grafana.adminPasswordFile";
          path = cfg.grafana.adminPasswordFile;
        }
      ]
      ++ lib.optional (cfg.grafana.secretKeyFile != null) {
        option = "services.slipway.monitoring.grafana.secretKeyFile";
        path = cfg.grafana.secretKeyFile;
      };

      assertions = [
        {
          assertion = cfg.grafana.adminPasswordFile != null;
          message = "services.slipway.monitoring.grafana.enable needs services.slipway.monitoring.grafana.adminPasswordFile, or everybody could sign in with admin and admin.";
        }
      ];
    })
  ];
}
