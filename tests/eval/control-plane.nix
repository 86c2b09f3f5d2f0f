# The control plane is a stack like any other.
{
  host,
  stack,
  ...
}:
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
  schemas = its: (builtins.fromJSON its.environment.etc."slipway/schemas.json".text).stacks;
  shop = migrations: host [ (stack { database = { inherit migrations; }; }) ];
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
  {
    name = "a plan can name the migrations that a closure brings";
    got = {
      slipway = (schemas config).slipway.migrations;
      shop = map (migrations: (schemas (shop migrations)).shop.migrations) [
        [ "20260101000000_create_jobs" ]
        ../../templates/default/crates/jobs/migrations
      ];
      none = (shop [ ]).environment.etc ? "slipway/schemas.json";
    };
    want = {
      slipway = map (builtins.replaceStrings [ ".sql" ] [ "" ]) (
        builtins.attrNames (builtins.readDir ../../crates/lib/store/migrations)
      );
      shop = [
        [ "20260101000000_create_jobs" ]
        [ "20260101000000_create_jobs" ]
      ];
      none = false;
    };
  }
]
