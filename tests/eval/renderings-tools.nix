# What the suites on renderings share: a stack with something of everything, a small one, and what becomes of them.
{ pkgs, standIn }:
let
  inherit (pkgs) lib;
in
rec {
  inherit (import ../../nix/containers) compose kubernetes;
  own = import ../../nix/containers/slipway.nix;

  # Two services, a site, a job and a migration.
  shop = {
    cache.enable = false;
    environment.LOG_LEVEL = "info";
    secrets.SENTRY_DSN = "/run/secrets/sentry";
    services = {
      api = {
        preset = "api";
        package = standIn "shop";
        replicas = 2;
        secrets.SECRET_KEY = "/run/secrets/api-key";
      };
      web = {
        package = standIn "shop-web";
        listen.port = 3000;
        arguments = [ "--port=$(PORT)" ];
        health.ready.http = "/healthz";
        health.live.http = "/alive";
        limits = {
          cpus = 1.5;
          memoryMiB = 512;
        };
        environment = {
          WORKERS = 4;
          DEBUG = false;
          LOG_LEVEL = null;
        };
        secrets = {
          SECRET_KEY = "/run/secrets/web-key";
          SENTRY_DSN = null;
        };
      };
    };
    jobs.report = {
      package = standIn "shop";
      arguments = [ "report" ];
      schedule.calendar = "*-*-* 03:15:00";
      limits.memoryMiB = 256;
    };
    domains."shop.example.com".routes = {
      "/".static = ../../hosts/team/site;
      "/api".service = "api";
      "/web" = {
        service = "web";
        stripPrefix = true;
      };
      "/old".redirect = "https://old.example.com/";
    };
  };
  inCompose =
    more: stack:
    compose (
      {
        inherit pkgs stack;
        name = "shop";
      }
      // more
    );
  inKubernetes =
    more: stack:
    kubernetes (
      {
        inherit pkgs stack;
        name = "shop";
        gateway.class = "shared";
      }
      // more
    );

  composed = inCompose { } shop;
  clustered = inKubernetes { } shop;
  objectsOf =
    kind: lib.filter (one: one.kind == kind) (lib.concatLists (lib.attrValues clustered.objects));
  called = name: lib.findFirst (one: one.metadata.name == name) null;
  nginxInPod = (called "shop-proxy" (objectsOf "ConfigMap")).data."nginx.conf";

  # One service and its domain; `changed` has options on top of that, `timed` a job as well.
  hooked = more: {
    services.hooks = {
      package = standIn "hooks";
      listen.port = 9000;
    }
    // more;
    database.enable = false;
    cache.enable = false;
    domains."hooks.example.com".routes."/".service = "hooks";
  };
  changed = lib.recursiveUpdate (hooked { });
  timed =
    job:
    changed {
      jobs.nightly = {
        package = standIn "hooks";
      }
      // job;
    };
}
