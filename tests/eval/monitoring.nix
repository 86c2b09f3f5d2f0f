# services.slipway.monitoring: what is asked of whom, and who hears of what.
{
  host,
  refused,
  standIn,
  lib,
  ...
}:
let
  inherit (import ./monitoring-tools.nix { inherit host lib standIn; })
    acme
    client
    monitoring
    people
    watched
    ;
  fleet = host [
    (monitoring client)
    {
      services.slipway.monitoring.hosts = {
        app = watched "app-1" { };
        away = watched "app-2" { services.slipway.telemetry.enable = false; };
        plain.config.networking.hostName = "no-slipway";
      };
    }
  ];
  scrapes = lib.listToAttrs (
    map (scrape: lib.nameValuePair scrape.job_name scrape) fleet.services.prometheus.scrapeConfigs
  );
  ofJob = job: scrape: lib.filter (one: one.labels.job == job) scrape.static_configs;
  site = host [
    (monitoring people)
    acme
  ];
  alertmanager =
    options: (host [ (monitoring options) ]).services.prometheus.alertmanager.configuration;
in
[
  {
    name = "a monitoring host without contradictions";
    got = refused [ (monitoring { }) ];
    want = [ ];
  }
  {
    name = "each host with telemetry is asked, and no other";
    got = lib.attrNames scrapes;
    want = [
      "app-1"
      "host-1"
    ];
  }
  {
    name = "this host is asked directly, with the programs of the monitoring";
    got = map (one: one.targets ++ [ one.labels.instance ]) (
      lib.concatMap (job: ofJob job scrapes.host-1) [
        "prometheus"
        "alertmanager"
        "blackbox"
      ]
    );
    want = [
      [
        "127.0.0.1:9090"
        "host-1/prometheus"
      ]
      [
        "127.0.0.1:9093"
        "host-1/alertmanager"
      ]
      [
        "127.0.0.1:9115"
        "host-1/blackbox"
      ]
    ];
  }
  {
    name = "another host is asked over TLS, under the name of its certificate, and its labels say where a process is";
    got = {
      inherit (scrapes.app-1) scheme;
      inherit (scrapes.app-1.tls_config)
        ca_file
        cert_file
        key_file
        server_name
        insecure_skip_verify
        ;
      web = ofJob "stack" scrapes.app-1;
    };
    want = {
      scheme = "https";
      ca_file = "/etc/authority.pem";
      cert_file = "/etc/monitor.pem";
      key_file = "/run/credentials/prometheus.service/identity-key";
      server_name = "app-1.internal";
      insecure_skip_verify = null;
      web = [
        {
          targets = [ "10.1.0.11:9443" ];
          labels = {
            host = "app-1";
            job = "stack";
            stack = "shop";
            service = "web";
            unit = "shop-web-1";
            instance = "app-1/shop-web-1";
            __metrics_path__ = "/stack/shop-web-1";
          };
        }
      ];
    };
  }
  {
    name = "no program speaks for another host, and none chooses what an alert says";
    got =
      let
        relabelled = scrapes.app-1.metric_relabel_configs;
        dropped =
          text: lib.any (one: one.action == "drop" && builtins.match one.regex text != null) relabelled;
      in
      {
        forged = map dropped [
          "stack;shop-web-1;slipway_host_out"
          "stack;shop-web-1;slipway_host_last_seen_timestamp_seconds"
          "node;;slipway_host_out"
          "node;;slipway_host_system_info"
          "stack;shop-web-1;http_requests_total"
        ];
        labels = map (one: one.regex) (lib.filter (one: one.action == "labeldrop") relabelled);
      };
    want = {
      forged = [
        true
        true
        true
        false
        false
      ];
      labels = [ "alertname|severity" ];
    };
  }
  {
    name = "a program that does not say what it answers with is read, where Prometheus would refuse it";
    got =
      map
        (
          version:
          (lib.head
            (host [
              (monitoring { })
              {
                services.prometheus.package = standIn "prometheus" // {
                  inherit version;
                };
              }
            ]).services.prometheus.scrapeConfigs
          ).fallback_scrape_protocol
        )
        [
          "2.55.1"
          "3.5.0"
        ];
    want = [
      null
      "PrometheusText0.0.4"
    ];
  }
  {
    name = "a host on a network that encrypts is asked plainly";
    got =
      let
        config = host [
          (monitoring { hosts.app = watched "app-1" { services.slipway.telemetry.door.tls = false; }; })
        ];
      in
      map (scrape: scrape.scheme) config.services.prometheus.scrapeConfigs;
    want = [
      null
      null
    ];
  }
  {
    name = "each route is asked from here";
    got =
      let
        config = host [
          (monitoring {
            hosts.app = watched "app-1" {
              services.slipway.telemetry.door.tls = false;
              services.slipway.stacks.shop.domains."shop.example.com".routes."/".service = "web";
              inherit (acme) security;
            };
          })
        ];
      in
      lib.concatMap (scrape: scrape.static_configs) (
        lib.filter (
          scrape: lib.hasSuffix "/probes" scrape.job_name
        ) config.services.prometheus.scrapeConfigs
      );
    want = [
      {
        targets = [ "127.0.0.1:9115" ];
        labels = {
          host = "app-1";
          job = "blackbox";
          stack = "shop";
          domain = "shop.example.com";
          url = "https://shop.example.com/";
          instance = "app-1/shop.example.com";
          __param_target = "https://shop.example.com/";
          __param_module = "answer";
        };
      }
    ];
  }
  {
    name = "nothing listens beyond 127.0.0.1";
    got = {
      prometheus = fleet.services.prometheus.listenAddress;
      alertmanager = fleet.services.prometheus.alertmanager.listenAddress;
      blackbox = fleet.services.prometheus.exporters.blackbox.listenAddress;
      gossip = fleet.services.prometheus.alertmanager.extraFlags;
    };
    want = {
      prometheus = "127.0.0.1";
      alertmanager = "127.0.0.1";
      blackbox = "127.0.0.1";
      gossip = [ "--cluster.listen-address=" ];
    };
  }
  {
    name = "retention in days and bytes";
    got =
      let
        config = host [
          (monitoring {
            retention = {
              days = 7;
              sizeMiB = 512;
            };
          })
        ];
      in
      [
        config.services.prometheus.retentionTime
        config.services.prometheus.extraFlags
      ];
    want = [
      "7d"
      [ "--storage.tsdb.retention.size=512MB" ]
    ];
  }
  {
    name = "the alerts of a stack go to its team, the others by their severity";
    got =
      (alertmanager {
        receivers.shop-team.email = [ "shop@example.com" ];
        receivers.chat.slack.urlFile = "/run/secrets/slack";
        receivers.snitch.webhook.urlFile = "/run/secrets/snitch";
        smtp = {
          host = "smtp.example.com";
          from = "alerts@example.com";
        };
        severities.page = [
          "ops"
          "chat"
        ];
        routes = [
          {
            alerts = [ "BackupLate" ];
            receivers = [ "shop-team" ];
          }
        ];
        deadMansSwitch.receiver = "snitch";
      }).route.routes;
    want = [
      {
        matchers = [ "alertname=\"DeadMansSwitch\"" ];
        receiver = "snitch";
        group_wait = "0s";
        group_interval = "30s";
        repeat_interval = "45s";
      }
      {
        matchers = [ "severity=\"info\"" ];
        receiver = "nobody";
      }
      {
        matchers = [
          "severity=~\"page|ticket\""
          "alertname=~\"BackupLate\""
        ];
        receiver = "shop-team";
        continue = false;
      }
      {
        matchers = [ "severity=\"page\"" ];
        receiver = "ops";
        routes = [
          {
            receiver = "ops";
            continue = true;
          }
          {
            receiver = "chat";
            continue = true;
          }
        ];
      }
      {
        matchers = [ "severity=\"ticket\"" ];
        receiver = "ops";
      }
    ];
  }
  {
    name = "secrets are credentials, and none is in the configuration";
    got =
      let
        config = host [
          (monitoring {
            receivers.chat.slack.urlFile = "/run/secrets/slack";
            receivers.program.webhook = {
              urlFile = "/run/secrets/url";
              tokenFile = "/run/secrets/token";
            };
            receivers.post = {
              email = [ "ops@example.com" ];
              secretFiles.pager = "/run/secrets/pager";
              settings.pagerduty_configs = [
                { routing_key_file = "/run/credentials/alertmanager.service/pager"; }
              ];
            };
            smtp = {
              host = "smtp.example.com";
              user = "alerts@example.com";
              passwordFile = "/run/secrets/smtp";
            };
          })
        ];
      in
      {
        credentials = config.systemd.services.alertmanager.serviceConfig.LoadCredential;
        checked = map (secret: secret.path) config.services.slipway.monitoring.secrets;
        from = config.services.prometheus.alertmanager.configuration.global.smtp_from;
        leaked = lib.hasInfix "/run/secrets" (
          builtins.toJSON config.services.prometheus.alertmanager.configuration
        );
      };
    want = {
      credentials = [
        "smtp-password:/run/secrets/smtp"
        "chat.slack-url:/run/secrets/slack"
        "pager:/run/secrets/pager"
        "program.webhook-url:/run/secrets/url"
        "program.webhook-token:/run/secrets/token"
      ];
      checked = [
        "/run/secrets/smtp"
        "/run/secrets/slack"
        "/run/secrets/pager"
        "/run/secrets/url"
        "/run/secrets/token"
      ];
      from = "alerts@example.com";
      leaked = false;
    };
  }
  {
    name = "a dollar in an address stays one";
    got =
      (lib.head
        (lib.findFirst (one: one.name == "ops") null
          (alertmanager { receivers.ops.webhook.url = lib.mkForce "http://127.0.0.1/$x"; }).receivers
        ).webhook_configs
      ).url;
    want = "http://127.0.0.1/$$x";
  }
  {
    name = "people get in with a password, over HTTPS, and other names are refused";
    got = {
      password =
        lib.mapAttrs
          (_: location: lib.hasInfix "auth_basic_user_file /run/secrets/passwords;" location.extraConfig)
          (
            removeAttrs site.services.nginx.virtualHosts."monitoring.example.com".locations [
              "/"
              "= /runbooks.md"
            ]
          );
      inherit (site.services.nginx.virtualHosts."monitoring.example.com") forceSSL enableACME;
      unknown = site.services.nginx.virtualHosts.slipway-monitoring-unknown.rejectSSL;
      links = [
        site.services.prometheus.webExternalUrl
        site.services.prometheus.alertmanager.webExternalUrl
        site.services.slipway.monitoring.rules.HostDown.runbook
      ];
      firewall = lib.sort lib.lessThan site.networking.firewall.allowedTCPPorts;
    };
    want = {
      password = {
        "/alertmanager/" = true;
        "/prometheus/" = true;
      };
      forceSSL = true;
      enableACME = true;
      unknown = true;
      links = [
        "https://monitoring.example.com/prometheus/"
        "https://monitoring.example.com/alertmanager/"
        "https://monitoring.example.com/runbooks.md#hostdown"
      ];
      firewall = [
        22
        80
        443
      ];
    };
  }
  {
    name = "a domain on a private address is open there only";
    got =
      let
        config = host [
          (monitoring (people // { listenAddresses = [ "10.1.0.30" ]; }))
          acme
          { services.slipway.network.privateInterface = "ens10"; }
        ];
      in
      {
        public = config.networking.firewall.allowedTCPPorts;
        private = config.networking.firewall.interfaces.ens10.allowedTCPPorts;
      };
    want = {
      public = [ 22 ];
      private = [ 443 ];
    };
  }
]
