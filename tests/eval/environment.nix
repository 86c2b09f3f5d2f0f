# The parts of a unit that any user of the host can read contain no secret and no store path.
{
  host,
  stack,
  lib,
  ...
}:
let
  secrets = {
    SECRET_KEY = "/run/secrets/key";
    ADMIN_PASSWORD = "/run/secrets/password";
  };
  config = host [
    (stack { inherit secrets; })
    {
      services.slipway.agent = {
        enable = true;
        apiUrl = "https://deploy.example.com";
        tokenFile = "/run/secrets/agent-token";
      };
    }
  ];
  ours = lib.filterAttrs (
    name: _: lib.hasPrefix "shop" name || lib.hasPrefix "slipway" name
  ) config.systemd.services;
  # NixOS' own: where programs, languages and time zones are.
  notOurs = [
    "PATH"
    "LOCALE_ARCHIVE"
    "TZDIR"
  ];
  found =
    test:
    lib.concatLists (
      lib.mapAttrsToList (
        unit: service:
        map (variable: "${unit}: ${variable}") (
          lib.filter (variable: test variable (toString service.environment.${variable})) (
            lib.subtractLists notOurs (lib.attrNames service.environment)
          )
        )
      ) ours
    );
in
[
  {
    name = "there are units to look at";
    got = lib.length (lib.attrNames ours) > 8;
    want = true;
  }
  {
    name = "no store path in any unit's environment";
    got = found (_: lib.hasInfix builtins.storeDir);
    want = [ ];
  }
  {
    name = "no secret in any unit's environment, by any name";
    got = found (
      variable: _:
      lib.any (secret: variable == secret || variable == "${secret}_FILE") (
        lib.attrNames secrets ++ [ "AGENT_TOKEN" ]
      )
    );
    want = [ ];
  }
]
