# Sign-in through a provider: what the api gets of the options, and what is refused.
{
  host,
  lib,
  ...
}:
let
  signing =
    oidc:
    host [
      {
        services.slipway.controlPlane = {
          enable = true;
          domain = "deploy.example.com";
          secretKeyFile = "/run/secrets/key";
          adminPasswordFile = "/run/secrets/password";
          inherit oidc;
        };
        security.acme = {
          acceptTerms = true;
          defaults.email = "ops@example.com";
        };
      }
    ];
  good = {
    issuer = "https://login.example.com/realms/ops";
    clientSecretFile = "/run/secrets/oidc";
    addresses = [ "any" ];
    domains = [
      "example.com"
      "example.org"
    ];
    groups = {
      "/platform/admins".role = "admin";
      "CN=on-call,OU=groups" = {
        role = "viewer";
        environments.prod = "approver";
      };
      developers.environments = {
        prod = "viewer";
        test = "deployer";
      };
    };
  };
  units = config: config.systemd.services;
  config = signing good;
  api = (units config).slipway-api-1;
  worker = (units config).slipway-worker-1;
  settings = lib.filterAttrs (name: _: lib.hasPrefix "OIDC_" name);
  isOidc = lib.hasPrefix "OIDC_";
  problems =
    oidc: map (one: one.message) (lib.filter (one: !one.assertion) (signing oidc).assertions);
in
[
  {
    name = "the api gets the provider with its secret, and the worker nothing of it";
    got = {
      settings = settings api.environment;
      credentials = lib.filter isOidc api.serviceConfig.LoadCredential;
      isFree = !(api.serviceConfig ? IPAddressDeny);
      worker = settings worker.environment;
      workersCredentials = lib.filter isOidc worker.serviceConfig.LoadCredential;
    };
    want = {
      settings = {
        OIDC_CLIENT_ID = "slipway";
        OIDC_DOMAINS = "example.com,example.org";
        OIDC_GROUPS_CLAIM = "groups";
        OIDC_ISSUER = "https://login.example.com/realms/ops";
        OIDC_ROLES = "admin=/platform/admins; viewer=CN=on-call,OU=groups; approver@prod=CN=on-call,OU=groups; viewer@prod=developers; deployer@test=developers";
        OIDC_SCOPES = "profile email";
        OIDC_SESSION_SECONDS = "28800";
      };
      credentials = [ "OIDC_CLIENT_SECRET:/run/secrets/oidc" ];
      isFree = true;
      worker = { };
      workersCredentials = [ ];
    };
  }
  {
    name = "without a provider nothing is there, and the api connects to nobody";
    got = {
      settings = settings (units (signing { })).slipway-api-1.environment;
      addresses = (signing { }).services.slipway.stacks.slipway.services.api.allowedAddresses;
    };
    want = {
      settings = { };
      addresses = null;
    };
  }
  {
    name = "what cannot be meant of a provider is told";
    got = map (change: problems (good // change)) [
      { clientSecretFile = null; }
      { issuer = "http://login.example.com"; }
      { issuer = "http://localhost.example.com"; }
      { groups = { }; }
      { groups.developers = { }; }
      { groups."a;b".role = "viewer"; }
      { groups."staff,admin=everybody".role = "viewer"; }
      { groups."staff, deployer@prod = x".role = "viewer"; }
      {
        groups = {
          "a\nb".role = "viewer";
          " a".role = "viewer";
        };
      }
      { groups.staff.environments."prod=x" = "viewer"; }
      { domains = [ "example.com,evil.example" ]; }
      { groups."CN=on-call,OU=admins,admins=x".role = "viewer"; }
      { issuer = "http://127.0.0.1:5556/dex"; }
    ];
    want =
      let
        at = "services.slipway.controlPlane.oidc";
        unfit =
          names:
          "${at}.groups has the name ${names}, which OIDC_ROLES cannot hold: a `;`, a line end, or `,ROLE=` would begin an entry of its own, and blanks at an end are lost. Name the group otherwise at the provider.";
        unencrypted =
          issuer:
          "${at}.issuer is ${issuer}, which is not encrypted: anybody on the way could sign in as anybody; give an https:// address.";
      in
      [
        [
          "${at}.clientSecretFile is not set, and the issuer is: name a file with the secret of this control plane at the provider."
        ]
        [ (unencrypted "http://login.example.com") ]
        [ (unencrypted "http://localhost.example.com") ]
        [
          "${at}.groups gives no group a role, so nobody could sign in: name one, such as platform.role = \"admin\"."
        ]
        [
          "${at}.groups gives no group a role, so nobody could sign in: name one, such as platform.role = \"admin\"."
          "${at}.groups.developers may do nothing: give a role, or environments, or leave it out."
        ]
        [ (unfit ''"a;b"'') ]
        [ (unfit ''"staff,admin=everybody"'') ]
        [ (unfit ''"staff, deployer@prod = x"'') ]
        [ (unfit ''" a" and the name "a\nb"'') ]
        [
          ''${at}.groups names the environment "prod=x", which cannot exist: give 1 to 63 lower-case letters, digits and `-`.''
        ]
        [
          ''${at}.domains has "example.com,evil.example", which is no domain: give what follows the @, such as example.com, each in an entry of its own.''
        ]
        [ ]
        [ ]
      ];
  }
]
