# services.slipway.monitoring.grafana: what Grafana is given, and what nobody is shown.
{
  host,
  refused,
  says,
  standIn,
  lib,
  ...
}:
let
  inherit (import ./monitoring-tools.nix { inherit host lib standIn; })
    acme
    monitoring
    people
    ;
  signIn.grafana.adminPasswordFile = "/run/agenix/grafana-admin-password";
  with' = options: [
    (monitoring (people // options))
    acme
  ];
  seen = host (with' signIn);
  grafana = seen.services.grafana;
  site = seen.services.nginx.virtualHosts."monitoring.example.com".locations;
  sources = grafana.provision.datasources.settings.datasources;
  dashboards = seen.services.slipway.monitoring.grafana.dashboards;
  variables = lib.concatMap (dashboard: dashboard.templating.list) (lib.attrValues dashboards);
  unit = seen.systemd.services.grafana;
  shop.title = "Shop";
in
[
  {
    name = "Grafana without contradictions";
    got = refused (with' signIn);
    want = [ ];
  }
  {
    name = "no Grafana where nobody could sign in";
    got = (host (with' { })).services.grafana.enable;
    want = false;
  }
  (says "Grafana without a password"
    [
      "services.slipway.monitoring.grafana.enable"
      "adminPasswordFile"
    ]
    (with' {
      grafana.enable = true;
    })
  )
  {
    name = "every data source of a dashboard is one that Grafana has";
    got = lib.unique (
      map (variable: "${variable.query} ${variable.current.value}") (
        lib.filter (variable: variable.type == "datasource" && variable.name == "metrics") variables
      )
    );
    want = map (source: "${source.type} ${source.uid}") (
      lib.filter (source: source.type == "prometheus") sources
    );
  }
  {
    name = "Grafana asks the programs of this host";
    got = map (source: lib.hasPrefix "http://127.0.0.1:" source.url) sources;
    want = map (_: true) sources;
  }
  {
    name = "Grafana is at its path, with its own accounts";
    got = {
      inherit (grafana.settings.server) root_url http_addr;
      inherit (grafana.settings.security) cookie_secure;
      password = lib.hasInfix "auth_basic" site."/grafana/".extraConfig;
      metrics = site."= /grafana/metrics".return;
      ofPlugins = site."^~ /grafana/metrics/".return or null;
      start = site."/".return;
    };
    want = {
      root_url = "https://monitoring.example.com/grafana/";
      http_addr = "127.0.0.1";
      cookie_secure = true;
      password = false;
      metrics = "404";
      ofPlugins = "404";
      start = "302 /grafana/";
    };
  }
  {
    name = "Grafana's secrets are read by path";
    got = {
      inherit (grafana.settings.security) admin_password secret_key;
      credentials = unit.serviceConfig.LoadCredential;
    };
    want = {
      admin_password = "$__file{/run/credentials/grafana.service/admin-password}";
      secret_key = "$__file{/var/lib/grafana/secret-key}";
      credentials = [ "admin-password:/run/agenix/grafana-admin-password" ];
    };
  }
  {
    name = "a key of Grafana's from a file is not made";
    got =
      let
        given = host (
          with' (lib.recursiveUpdate signIn { grafana.secretKeyFile = "/run/agenix/grafana-secret-key"; })
        );
      in
      {
        inherit (given.services.grafana.settings.security) secret_key;
        made = lib.hasInfix "urandom" given.systemd.services.grafana.preStart;
      };
    want = {
      secret_key = "$__file{/run/credentials/grafana.service/secret-key}";
      made = false;
    };
  }
  {
    name = "a team's dashboard is beside ours";
    got =
      let
        given = host (with' (lib.recursiveUpdate signIn { grafana.dashboards = { inherit shop; }; }));
      in
      lib.subtractLists (lib.attrNames dashboards) (
        lib.attrNames given.services.slipway.monitoring.grafana.dashboards
      );
    want = [ "shop" ];
  }
]
