# Secrets: only files of the host, each checked before its use.
{
  host,
  plain,
  refused,
  says,
  stack,
  standIn,
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
  # Two programs of one user, and a secret of one of them.
  two = {
    services.web = {
      package = standIn "web";
      secrets.OWN = "/run/secrets/own";
    };
    services.spy.package = standIn "spy";
  };
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
      "/run/agenix/name"
    ];
    want = [
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
  {
    name = "a program has its own secrets alone, and a namespace that keeps it out of other processes of its user";
    got =
      let
        units =
          lib.filterAttrs (unit: _: lib.hasPrefix "shop-web-" unit || lib.hasPrefix "shop-spy-" unit)
            (host [
              (stack two)
            ]).systemd.services;
      in
      lib.mapAttrs (_: unit: {
        inherit (unit.serviceConfig) User PrivateUsers ProtectProc;
        own = lib.filter (lib.hasInfix "secrets/") unit.serviceConfig.LoadCredential;
      }) units;
    want = lib.genAttrs [ "shop-spy-1" "shop-web-1" ] (unit: {
      User = "shop";
      PrivateUsers = true;
      ProtectProc = "invisible";
      own = lib.optional (unit == "shop-web-1") "OWN:/run/secrets/own";
    });
  }
  (says "a program without that namespace beside another's secrets"
    [
      "services.slipway.stacks.shop.services.spy.serviceConfig.PrivateUsers is off"
      "services.web"
      "services.spy.user"
    ]
    [ (stack (lib.recursiveUpdate two { services.spy.serviceConfig.PrivateUsers = false; })) ]
  )
  {
    name = "with a user of its own it may do without";
    got = refused [
      (stack (
        lib.recursiveUpdate two {
          services.spy = {
            user = "shop-spy";
            serviceConfig.PrivateUsers = false;
          };
        }
      ))
    ];
    want = [ ];
  }
]
