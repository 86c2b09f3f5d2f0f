# The host that `nix flake init -t` gives: a team's own programs as a stack.
{
  host,
  standIn,
  lib,
  pkgs,
  ...
}:
let
  inherit (import ../../nix/containers) compose kubernetes;
  config = host [
    ../../templates/default/hosts/web-1.nix
    {
      networking.hostName = lib.mkForce "web-1";
      _module.args.packages = lib.genAttrs [ "api" "worker" ] standIn;
    }
  ];
  inherit (config.services.slipway.stacks) jobs;
  rendered = {
    inherit pkgs;
    name = "jobs";
    stack = import ../../templates/default/stack.nix {
      packages = lib.genAttrs [ "api" "worker" ] standIn;
    };
  };
  # Without the store path, which is the stand-in's.
  words = command: [ (baseNameOf (lib.head command)) ] ++ lib.tail command;
in
[
  {
    name = "nothing is refused";
    got = map (failed: failed.message) (lib.filter (a: !a.assertion) config.assertions);
    want = [ ];
  }
  {
    name = "its programs are started as they are written";
    got = map words [
      jobs.services.api.command
      jobs.services.worker.command
      jobs.jobs.migrate.command
    ];
    want = [
      [
        "api"
        "serve"
      ]
      [
        "worker"
        "run"
      ]
      [
        "api"
        "migrate"
      ]
    ];
  }
  {
    name = "the same stack is there for Compose and Kubernetes";
    got = [
      (lib.attrNames (compose rendered).objects.services)
      (lib.attrNames (kubernetes (rendered // { gateway.class = "istio"; })).objects)
    ];
    want = [
      [
        "api"
        "migrate"
        "nginx"
        "postgres"
        "worker"
      ]
      [
        "monitoring"
        "namespace"
        "network-policies"
        "routes"
        "service-api"
        "service-worker"
        "start"
      ]
    ];
  }
  {
    name = "it has a database and no cache";
    got = [
      config.services.postgresql.enable
      config.services.redis.servers
    ];
    want = [
      true
      { }
    ];
  }
  {
    name = "the command line is at hand, for slipway verify";
    got = lib.elem config.services.slipway.packages.slipway config.environment.systemPackages;
    want = true;
  }
]
