# Secrets: only files of the host, each checked before its use.
{
  host,
  plain,
  stack,
  nixosModules,
  lib,
  ...
}:
let
  externalPath = import ../../nix/lib/external-path.nix { inherit lib; };
  config = host [ (stack { secrets.SECRET_KEY = "/run/secrets/key"; }) ];
  check = config.systemd.services.shop-secrets;
  agenix =
    options:
    plain [
      nixosModules.agenix
      {
        age.identityPaths = [ "/etc/ssh/ssh_host_ed25519_key" ];
        services.slipway.agenix = options;
      }
    ];
  token = {
    file = ../../secrets/prod/edge-agent-token.age;
    restartUnits = [ "thing" ];
  };
in
[
  {
    name = "what a secret's path may be";
    got = map externalPath.check [
      "/run/agenix/key"
      "${builtins.storeDir}/0000000000000000000000000000000a-key"
      ./secrets.nix
      "relative/key"
      "${./secrets.nix}"
    ];
    want = [
      true
      false
      false
      false
      false
    ];
  }
  {
    name = "a refused path is told its cure";
    got = map (word: lib.hasInfix word externalPath.description) [
      "outside the Nix store and the flake"
      "modules/agenix.nix"
      "/run/agenix/name"
    ];
    want = [
      true
      true
      true
    ];
  }
  {
    name = "a path in the store does not evaluate";
    got =
      (builtins.tryEval
        (host [ (stack { secrets.SECRET_KEY = "${./secrets.nix}"; }) ])
        .services.slipway.stacks.shop.secrets.SECRET_KEY
      ).success;
    want = false;
  }
  {
    name = "every process waits for the check, and the roll needs it";
    got = {
      processes =
        map (unit: lib.elem "${unit}.service" check.before && lib.elem "${unit}.service" check.wantedBy)
          [
            "shop-api-1"
            "shop-worker-1"
            "shop-migrate"
          ];
      inherit (check) requiredBy;
    };
    want = {
      processes = [
        true
        true
        true
      ];
      requiredBy = [ "shop-roll.service" ];
    };
  }
  {
    name = "it looks at each secret";
    got = map (part: lib.hasInfix part check.serviceConfig.ExecStart) [
      "SECRET_KEY /run/secrets/key"
      "REDIS_PASSWORD /run/slipway-cache/shop/password"
    ];
    want = [
      true
      true
    ];
  }
  {
    name = "a unit that a secret restarts goes by its name with and without the suffix";
    got =
      map
        (
          restartUnits:
          lib.attrNames (
            lib.filterAttrs (name: service: lib.hasPrefix "thing" name && service.restartTriggers != [ ])
              (agenix {
                files.token = token // {
                  inherit restartUnits;
                };
              }).systemd.services
          )
        )
        [
          [ "thing" ]
          [ "thing.service" ]
        ];
    want = [
      [ "thing" ]
      [ "thing" ]
    ];
  }
  {
    name = "a certificate of one domain is nginx' to read, and the domain's alone";
    got =
      let
        made = host [
          nixosModules.agenix
          (stack {
            proxy.domain = "shop.example.com";
            domains."www.example.com".routes."/".redirect = "https://shop.example.com/";
          })
          {
            age.identityPaths = [ "/etc/ssh/ssh_host_ed25519_key" ];
            services.slipway.agenix.stacks.shop.domains."www.example.com".tls = {
              certificate = token.file;
              key = token.file;
            };
          }
        ];
        inherit (made.services.slipway.stacks.shop) domains;
      in
      {
        own = domains."www.example.com".tls.key;
        other = domains."shop.example.com".tls.inUse.key;
        inherit (made.age.secrets."shop-www.example.com-key") group mode;
      };
    want = {
      own = "/run/agenix/shop-www.example.com-key";
      other = null;
      group = "nginx";
      mode = "0440";
    };
  }
  {
    name = "a unit that is no service, and a stack that is not there, are refused by name";
    got = map (failed: failed.message) (
      lib.filter (a: !a.assertion)
        (agenix {
          files.token = token // {
            restartUnits = [ "thing.socket" ];
          };
          stacks.shop.secrets.SECRET_KEY = ../../secrets/prod/slipway-secret-key.age;
        }).assertions
    );
    want = [
      "services.slipway.agenix.stacks has shop, which is no stack of this host: add it to services.slipway.stacks (it needs nixosModules.stack), or remove it."
      "services.slipway.agenix.files.*.restartUnits has thing.socket, which is no service: name the service that uses the file."
    ];
  }
]
