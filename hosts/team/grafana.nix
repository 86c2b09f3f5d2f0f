# What the host has apart from the stacks: Grafana, with a site in the same nginx and a database in the same Postgres.
{
  services.grafana = {
    enable = true;
    settings = {
      server = {
        domain = "grafana.example.com";
        root_url = "https://grafana.example.com/";
      };
      database = {
        type = "postgres";
        host = "/run/postgresql";
        user = "grafana";
      };
      security = {
        admin_password = "$__file{/run/credentials/grafana.service/admin-password}";
        secret_key = "$__file{/run/credentials/grafana.service/secret-key}";
      };
    };
  };
  systemd.services.grafana.serviceConfig.LoadCredential = [
    "admin-password:/var/lib/secrets/grafana-admin-password"
    "secret-key:/var/lib/secrets/grafana-secret-key"
  ];

  services.postgresql = {
    ensureDatabases = [ "grafana" ];
    ensureUsers = [
      {
        name = "grafana";
        ensureDBOwnership = true;
      }
    ];
  };

  services.nginx.virtualHosts."grafana.example.com" = {
    enableACME = true;
    forceSSL = true;
    locations."/" = {
      proxyPass = "http://127.0.0.1:3000";
      proxyWebsockets = true;
      recommendedProxySettings = true;
    };
  };
}
