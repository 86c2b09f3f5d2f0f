# The control plane is a stack like any other.
{
  host,
  lib,
  stack,
  ...
}:
let
  plane = {
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
  };
  config = host [ plane ];
  telling =
    messages:
    host [
      plane
      { services.slipway.controlPlane = { inherit messages; }; }
    ];
  mailing = telling {
    addresses = [ "any" ];
    networks = [
      "10.0.0.0/24"
      "fd00:1::/64"
    ];
    smtp = {
      host = "smtp.example.com";
      user = "slipway";
      passwordFile = "/run/secrets/smtp";
    };
  };
  worker = mailing.systemd.services.slipway-worker-1;
  settings = lib.filterAttrs (
    name: _:
    lib.any (prefix: lib.hasPrefix prefix name) [
      "MESSAGES_"
      "PUBLIC_"
      "SMTP_"
    ]
  );
  problems =
    messages: map (one: one.message) (lib.filter (one: !one.assertion) (telling messages).assertions);
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
  {
    name = "messages link to its pages, and go nowhere before somebody says where";
    got = {
      settings = settings api.environment;
      addresses = config.services.slipway.stacks.slipway.services.worker.allowedAddresses;
    };
    want = {
      settings = {
        MESSAGES_APPROVAL_MINUTES = "60";
        MESSAGES_SILENT_MINUTES = "5";
        PUBLIC_URL = "https://deploy.example.com";
      };
      addresses = null;
    };
  }
  {
    name = "the worker sends e-mail, and the api has no password";
    got = {
      api = settings mailing.systemd.services.slipway-api-1.environment == settings worker.environment;
      settings = settings worker.environment;
      isSecret = lib.elem "SMTP_PASSWORD:/run/secrets/smtp" worker.serviceConfig.LoadCredential;
      isInApi = lib.any (lib.hasPrefix "SMTP") mailing.systemd.services.slipway-api-1.serviceConfig.LoadCredential;
      isFree = worker.serviceConfig ? IPAddressDeny;
    };
    want = {
      api = true;
      settings = {
        MESSAGES_APPROVAL_MINUTES = "60";
        MESSAGES_NETWORKS = "10.0.0.0/24,fd00:1::/64";
        MESSAGES_SILENT_MINUTES = "5";
        PUBLIC_URL = "https://deploy.example.com";
        SMTP_FROM = "Slipway <slipway@deploy.example.com>";
        SMTP_HOST = "smtp.example.com";
        SMTP_PORT = "587";
        SMTP_TLS = "starttls";
        SMTP_USER = "slipway";
      };
      isSecret = true;
      isInApi = false;
      isFree = false;
    };
  }
  {
    name = "what cannot be meant of messages is told";
    got = map problems [
      { smtp.user = "slipway"; }
      { smtp.passwordFile = "/run/secrets/smtp"; }
      {
        smtp = {
          host = "smtp.example.com";
          tls = "none";
        };
      }
      {
        networks = [
          "10.0.0.0/24"
          "10.0.1.0/24,0.0.0.0/0"
        ];
      }
    ];
    want = [
      [
        "services.slipway.controlPlane.messages.smtp has a user and no passwordFile: an account takes both; leave both out where the server asks for none."
      ]
      [
        "services.slipway.controlPlane.messages.smtp has a passwordFile and no user: an account takes both; leave both out where the server asks for none."
      ]
      [
        "services.slipway.controlPlane.messages.smtp.tls is none, and smtp.example.com is another machine: messages would travel unencrypted; take starttls or tls."
      ]
      [
        ''services.slipway.controlPlane.messages.networks has "10.0.1.0/24,0.0.0.0/0", which is no network: give each in an entry of its own, such as 10.0.0.0/24.''
      ]
    ];
  }
]
