# Options of a stack that only a host has. What has no meaning in containers is accepted, so that one attribute set serves all
# platforms. What a team would miss there is refused, with what to do instead.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;

  ignored = {
    "" = [
      "enable"
      "user"
      "group"
      # Certificates are secrets of the platform, logs its own, and copies of a database are made there.
      "backup"
      "database.package"
      "database.authentication"
      "database.secondPasswordFile"
      "database.network"
      # Nothing without `database.of`.
      "database.rights"
      "cache.disabledCommands"
      "cache.network"
      "proxy.enable"
      "proxy.listenAddresses"
      "proxy.pingPort"
      "proxy.http3"
      "proxy.accessLog"
    ]
    ++ map (option: "proxy.${option}") certificates;
    services = [
      "user"
      "path"
      "socketGroup"
    ];
    jobs = [
      "user"
      "path"
    ];
    domains = certificates;
  };
  certificates = [
    "tls.certificate"
    "tls.key"
    "tls.dnsProvider"
    "tls.dnsCredentialsFile"
    "tls.useACMEHost"
  ];

  sentinels = "set REDIS_SENTINELS, and what docs/settings.md has beside it, in environment";
  before = "put a proxy of yours before the rendered one";
  refused = {
    "" = {
      "database.extensions" = "name an image of Postgres that has them";
      "database.of" =
        "make both services of one stack, or set database.host, database.name and database.user";
      "database.cluster" = "set database.host to a proxy that leads to the leader, and database.caFile";
      "database.readers" = "let a migration make the role and grant it what it reads";
      "cache.remote" = "set cache.urlFile";
      "cache.cluster" = sentinels;
      "cache.sentinels" = sentinels;
      "proxy.tls.clientAuthority" = before;
      "proxy.extraConfig" = before;
      "proxy.upstream" = "a route leads to a service of the stack";
      "proxy.trustedProxies" =
        "compose is what clients reach first, and for Kubernetes there is the argument trustedProxies";
    };
    domains = {
      "tls.clientAuthority" = before;
      "extraConfig" = before;
    };
  };

  pathOf = lib.splitString ".";
  declare =
    options:
    lib.foldl' lib.recursiveUpdate { } (
      map (
        option:
        lib.setAttrByPath (pathOf option) (mkOption {
          type = types.raw;
          default = null;
          internal = true;
          description = "Of a host alone.";
        })
      ) options
    );
  of = scope: declare (ignored.${scope} ++ lib.attrNames (refused.${scope} or { }));
  each =
    scope:
    mkOption {
      type = types.attrsOf (types.submodule { options = of scope; });
    };
  # One sentence for each refused option that is set.
  complaints =
    prefix: scope: values:
    lib.mapAttrsToList (option: cure: {
      assertion = lib.getAttrFromPath (pathOf option) values == null;
      message = "${prefix}${option} is for hosts; for containers ${cure}.";
    }) refused.${scope};
in
{
  options = of "" // {
    services = each "services";
    jobs = each "jobs";
    domains = each "domains";
  };
  config.assertions =
    complaints "" "" config
    ++ lib.concatLists (
      lib.mapAttrsToList (domain: complaints "domains.\"${domain}\"." "domains") config.domains
    );
}
