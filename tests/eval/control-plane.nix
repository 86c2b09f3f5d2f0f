# The control plane is a stack like any other.
{ host, ... }:
let
  config = host [
    {
      services.slipway.controlPlane = {
        enable = true;
        domain = "deploy.example.com";
        secretKeyFile = "/run/secrets/key";
        adminPasswordFile = "/run/secrets/password";
      };
      security.acme = {
        acceptTerms = true;
        defaults.email = "ops@example.com";
      };
    }
  ];
  api = config.systemd.services.slipway-api-1;
in
[
  {
    name = "its secrets are credentials";
    got = api.serviceConfig.LoadCredential;
    want = [
      "ADMIN_PASSWORD:/run/secrets/password"
      "REDIS_PASSWORD:/run/slipway-cache/slipway/password"
      "SECRET_KEY:/run/secrets/key"
    ];
  }
  {
    name = "it runs in production";
    got = api.environment.APP_ENV;
    want = "production";
  }
]
