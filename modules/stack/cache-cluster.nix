# A stack's Redis on a host of a cluster: see modules/cluster/redis.nix.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  cluster = import ../cluster/lib.nix { inherit config lib; };
  inherit (cluster) cfg;
  inherit (import ../../nix/stack/backing.nix { inherit lib; }) expected;
  used = cluster.enable && cfg.redis.enable;

  stackOptions =
    { config, ... }:
    {
      options.cache.cluster = mkOption {
        type = types.bool;
        default = used && expected config;
        defaultText = lib.literalMD "true where a service has a preset and `services.slipway.cluster.redis.enable` is set";
        example = true;
        description = ''
          Whether the stack uses a Redis of the cluster: a primary, and a replica on every other member. Members run it with
          `cache.network.port`, and all hosts find it through the Sentinels. Say it on members without services of the stack.
        '';
      };
      config = lib.mkIf (used && config.cache.cluster) {
        cache = {
          enable = lib.mkIf cluster.member (lib.mkOverride 900 true);
          replicated = cluster.member;
          sentinels = lib.mapAttrs (_: lib.mkDefault) {
            addresses = map (address: cluster.hostPort address cfg.redis.sentinelPort) cluster.addresses;
            inherit (cfg) authority;
            name = cfg.serverName;
          };
        };
      };
    };
in
{
  options.services.slipway.stacks = mkOption {
    type = types.attrsOf (types.submodule stackOptions);
  };
}
