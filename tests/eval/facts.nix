# A host's description of its stacks for `slipway verify` matches its units.
{
  host,
  stack,
  standIn,
  lib,
  ...
}:
let
  facts =
    more:
    builtins.fromJSON
      (host [
        (stack { })
        more
      ]).environment.etc."slipway/stacks/shop.json".text;
  ofFirewall = lib.filter (unit: unit == "nftables.service" || unit == "firewall.service");
in
[
  {
    name = "the backups are asked where their exporter listens";
    got = map (more: (facts more).backup.statusUrl) [
      { }
      { services.slipway.backup.exporter.port = 9203; }
    ];
    want = [
      "http://127.0.0.1:9103/status"
      "http://127.0.0.1:9203/status"
    ];
  }
  {
    name = "the firewall that there is must be active";
    got = map (more: ofFirewall (facts more).units) [
      { }
      { virtualisation.docker.enable = true; }
      {
        networking.firewall.enable = false;
        services.slipway.network.enable = false;
      }
    ];
    want = [
      [ "nftables.service" ]
      [ "firewall.service" ]
      [ ]
    ];
  }
  {
    name = "metrics are where each process has them, at the path of its service";
    got =
      map
        (more: {
          inherit (facts more) version;
          api = lib.head ((facts more).api.metrics ++ [ "none" ]);
          worker = lib.length (facts more).worker.metrics;
        })
        [
          { }
          { services.slipway.stacks.shop.services.api.metrics.path = "/internal/metrics"; }
          {
            services.slipway.stacks.shop.services = {
              api.metrics.port = null;
              worker.metrics.port = null;
            };
          }
        ];
    want = [
      {
        version = 1;
        api = "http://127.0.0.1:9200/metrics";
        worker = 2;
      }
      {
        version = 1;
        api = "http://127.0.0.1:9200/internal/metrics";
        worker = 2;
      }
      {
        version = 1;
        api = "none";
        worker = 0;
      }
    ];
  }
  {
    name = "services of other shapes and scheduled jobs are the second version's";
    got = {
      inherit
        (facts {
          services.slipway.stacks.shop = {
            services.web = {
              package = standIn "web";
              replicas = 2;
              listen.port = 3000;
              health.ready.http = "/healthz";
              metrics.port = 9400;
            };
            services.sweep.package = standIn "sweep";
            services.second = {
              preset = "api";
              package = standIn "shop";
              listen.type = "tcp";
              metrics.port = null;
            };
            jobs.report = {
              package = standIn "report";
              schedule.calendar = "daily";
            };
          };
        })
        version
        url
        domains
        services
        jobs
        ;
      plain = facts { } ? services;
    };
    want = {
      version = 2;
      url = null;
      domains = [ ];
      services = [
        {
          name = "second";
          addresses = [
            "127.0.0.1:8000"
            "127.0.0.1:8001"
            "127.0.0.1:8002"
          ];
          path = "/api/v1/monitoring/ready";
          metrics = [ ];
        }
        {
          name = "sweep";
          addresses = [ ];
          path = null;
          metrics = [ ];
        }
        {
          name = "web";
          addresses = [
            "127.0.0.1:3000"
            "127.0.0.1:3001"
          ];
          path = "/healthz";
          metrics = [
            "http://127.0.0.1:9400/metrics"
            "http://127.0.0.1:9401/metrics"
          ];
        }
      ];
      jobs = {
        names = [ "report" ];
        metricsFile = "/run/slipway-jobs/shop/jobs.prom";
      };
      plain = false;
    };
  }
  {
    name = "an api answers at the stack's domain as the contract says; of other domains the certificates are checked";
    got =
      map
        (
          more:
          let
            of = facts {
              imports = [ more ];
              security.acme = {
                acceptTerms = true;
                defaults.email = "ops@example.com";
              };
            };
          in
          {
            inherit (of) version domain url;
            domains = of.domains or null;
          }
        )
        [
          { services.slipway.stacks.shop.proxy.domain = "shop.example.com"; }
          {
            services.slipway.stacks.shop = {
              proxy.domain = "shop.example.com";
              domains."www.example.com".routes."/".redirect = "https://shop.example.com/";
            };
          }
          {
            services.slipway.stacks.shop = {
              services = lib.mkForce {
                web = {
                  package = standIn "web";
                  listen.port = 3000;
                  health.ready.tcp = true;
                };
              };
              domains."shop.example.com".routes."/".service = "web";
            };
          }
        ];
    want = [
      {
        version = 1;
        domain = "shop.example.com";
        url = "https://shop.example.com";
        domains = null;
      }
      {
        version = 2;
        domain = "shop.example.com";
        url = "https://shop.example.com";
        domains = [ "https://www.example.com" ];
      }
      {
        version = 2;
        domain = null;
        url = null;
        domains = [ "https://shop.example.com" ];
      }
    ];
  }
]
