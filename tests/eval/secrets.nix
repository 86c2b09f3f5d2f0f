# Secrets: only files of the host, each looked at before it is used.
{
  host,
  stack,
  lib,
  ...
}:
let
  externalPath = import ../../nix/lib/external-path.nix { inherit lib; };
  config = host [ (stack { secrets.SECRET_KEY = "/run/secrets/key"; }) ];
  check = config.systemd.services.shop-secrets;
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
]
