# A stack's Redis with replicas: its programs ask Sentinels where the primary is. modules/cluster/redis.nix runs such servers
# and sets all of this; by hand it leads to those of somebody else.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  inherit (import ../../nix/stack/texts.nix { inherit lib; }) isHost;
  contract = import ../../nix/contract.nix;
  stacks = lib.filterAttrs (_: stack: stack.enable) config.services.slipway.stacks;

  # "10.1.0.21:26379" or "[fd00::1]:26379" without its port.
  hostOf =
    address:
    let
      bracketed = builtins.match "\\[(.*)](:[0-9]+)?" address;
      plain = builtins.match "([^:]+)(:[0-9]+)?" address;
    in
    if bracketed != null then
      lib.head bracketed
    else if plain != null then
      lib.head plain
    else
      address;

  sentinelOptions =
    { name, config, ... }:
    let
      inherit (config) cache;
      inherit (cache) sentinels;
      hosts = map hostOf sentinels.addresses;
    in
    {
      options.cache.sentinels = {
        addresses = mkOption {
          type = types.listOf types.str;
          default = [ ];
          example = [
            "10.1.0.21:26379"
            "10.1.0.22:26379"
            "10.1.0.23:26379"
          ];
          description = ''
            Sentinels that know where the primary of this stack's Redis is. Programs get them as REDIS_SENTINELS. A host in a
            cluster with `services.slipway.cluster.redis.enable` has them by itself. The port is ${toString contract.ports.sentinel} if none is given.
          '';
        };
        primary = mkOption {
          type = types.strMatching "[A-Za-z0-9._-]+";
          default = name;
          defaultText = lib.literalMD "the stack's name";
          example = "mymaster";
          description = "What the Sentinels call the primary.";
        };
        authority = mkOption {
          type = types.nullOr types.path;
          default = null;
          example = lib.literalExpression "./cluster-authority.pem";
          description = "A PEM file with the authority of the certificates of Redis and Sentinels. Unset: the system's authorities. It is not secret.";
        };
        name = mkOption {
          type = types.nullOr types.str;
          default = null;
          example = "main.cluster.internal";
          description = "The name that all their certificates are for. Unset: the address that each is reached by.";
        };
        reached = mkOption {
          type = types.listOf types.str;
          default = lib.unique hosts;
          defaultText = lib.literalMD "the hosts of `addresses`";
          example = [ "10.1.0.0/24" ];
          description = "Addresses of the Sentinels and of every Redis that may become the primary. Programs may talk to them.";
        };
      };
      config = lib.mkIf (sentinels.addresses != [ ]) {
        cache.enable = lib.mkIf (!cache.replicated) (lib.mkDefault false);
        cache.byAddress = false;
        environment = lib.mapAttrs (_: lib.mkDefault) (
          {
            REDIS_SENTINELS = lib.concatStringsSep "," sentinels.addresses;
            REDIS_SENTINEL_MASTER = sentinels.primary;
            REDIS_TLS = "on";
          }
          // lib.optionalAttrs (sentinels.authority != null) { REDIS_TLS_CA = "${sentinels.authority}"; }
          // lib.optionalAttrs (sentinels.name != null) { REDIS_TLS_NAME = sentinels.name; }
        );
        secrets = lib.mkIf (cache.passwordFile != null) {
          REDIS_PASSWORD = lib.mkDefault cache.passwordFile;
          REDIS_SENTINEL_PASSWORD = lib.mkDefault cache.passwordFile;
        };
        allowedAddresses = lib.mkDefault (
          if lib.all isHost sentinels.reached then [ "localhost" ] ++ sentinels.reached else [ "any" ]
        );
      };
    };
in
{
  options.services.slipway.stacks = mkOption {
    type = types.attrsOf (types.submodule sentinelOptions);
  };

  config.assertions = lib.concatLists (
    lib.mapAttrsToList (
      name: stack:
      let
        option = what: "services.slipway.stacks.${name}.cache.${what}";
        inherit (stack) cache;
        used = cache.sentinels.addresses != [ ];
      in
      [
        {
          assertion = !used || cache.passwordFile != null;
          message = "${option "passwordFile"} is not set, and Redis behind ${option "sentinels"} is shared by hosts: give the file with the password that all of them have.";
        }
        {
          assertion = lib.all (address: builtins.match "[^, ]+" address != null) cache.sentinels.addresses;
          message = "${option "sentinels.addresses"} has an entry with a comma or a blank: give each Sentinel in an entry of its own.";
        }
        {
          assertion = !(used && cache.remote.address != null);
          message = "${option "sentinels.addresses"} and ${option "remote.address"} name two Redis instances: leave one out.";
        }
        {
          assertion = !(used && cache.urlFile != null);
          message = "${option "sentinels.addresses"} and ${option "urlFile"} name two Redis instances: leave one out.";
        }
      ]
    ) stacks
  );
}
