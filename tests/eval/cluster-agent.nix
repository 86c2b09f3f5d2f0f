# What the agent does around a release on a member of a cluster.
{ host, lib, ... }:
let
  tools = import ./cluster-tools.nix { inherit host lib; };
  config = host (
    tools.modules "ha-1" { }
    ++ [
      {
        services.slipway.agent = {
          enable = true;
          apiUrl = "https://deploy.example.com";
          tokenFile = "/run/secrets/token";
        };
      }
    ]
  );
  hooks = builtins.fromJSON (
    builtins.unsafeDiscardStringContext config.environment.etc."slipway/hooks.json".text
  );
  words = list: map (hook: lib.elemAt hook.command 1) list;
in
[
  {
    name = "cluster: the leader leaves before a switch, and is back after the commit";
    got = lib.mapAttrs (_: words) { inherit (hooks) before_activate after_commit; };
    want = {
      before_activate = [ "step-aside" ];
      after_commit = [ "come-back" ];
    };
  }
  {
    name = "cluster: a host that may not go is not touched";
    got = map (hook: hook.on_failure) hooks.before_activate;
    want = [ "fail" ];
  }
  {
    name = "cluster: a release whose member does not run fails";
    got = config.services.slipway.agent.checks ? "member of the cluster main";
    want = true;
  }
]
