# Every exported module works alone: a host evaluates with it and nothing else of ours, before anything is enabled
# and after.
{
  plain,
  nixosModules,
  standIn,
  lib,
  ...
}:
let
  builds = modules: lib.hasSuffix ".drv" (plain modules).system.build.toplevel.drvPath;
  acme.security.acme = {
    acceptTerms = true;
    defaults.email = "ops@example.com";
  };
  shop.services.slipway.stacks.shop = {
    api.package = standIn "shop";
    worker.package = standIn "shop";
  };
  used = {
    default = shop;
    stack = shop;
    control-plane = {
      imports = [ acme ];
      services.slipway.controlPlane = {
        enable = true;
        domain = "deploy.example.com";
        secretKeyFile = "/run/secrets/key";
        adminPasswordFile = "/run/secrets/password";
      };
    };
    agent.services.slipway.agent = {
      enable = true;
      apiUrl = "https://deploy.example.com";
      tokenFile = "/run/secrets/agent-token";
      checks.reachable = {
        type = "tcp";
        address = "127.0.0.1:22";
      };
    };
    network.services.slipway.network.privateInterface = "ens10";
    telemetry.services.slipway.telemetry.enable = true;
    monitoring.services.slipway.monitoring = {
      enable = true;
      receivers.ops.webhook.url = "http://127.0.0.1:8080/alerts";
      severities.page = [ "ops" ];
    };
    agenix = {
      age.identityPaths = [ "/etc/ssh/ssh_host_ed25519_key" ];
      services.slipway.agenix.files.token.file = ../../secrets/prod/edge-agent-token.age;
    };
  };
in
[
  {
    name = "each exported module is used here";
    got = lib.attrNames used;
    want = lib.attrNames nixosModules;
  }
  {
    name = "the store's module evaluates alone, and does nothing without a stack and an agent";
    got =
      let
        alone = plain [ ../../modules/store.nix ];
      in
      [
        (lib.hasSuffix ".drv" alone.system.build.toplevel.drvPath)
        alone.nix.gc.automatic
      ];
    want = [
      true
      false
    ];
  }
]
++ lib.concatLists (
  lib.mapAttrsToList (name: module: [
    {
      name = "nixosModules.${name} evaluates alone";
      got = builds [ module ];
      want = true;
    }
    {
      name = "nixosModules.${name} works alone";
      got = builds [
        module
        used.${name}
      ];
      want = true;
    }
  ]) nixosModules
)
