# The cache of a stack, as far as every platform has it.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  contract = import ../contract.nix;
  inherit (import ./backing.nix { inherit lib; }) expected internal secretFile;
  inherit (config) cache;
in
{
  options.cache = {
    enable = mkOption {
      type = types.bool;
      default = expected config && cache.urlFile == null;
      defaultText = lib.literalMD "true where a service has a preset, unless `cache.urlFile` or `cache.remote.address` names one elsewhere";
      example = false;
      description = ''
        Whether this host runs a Redis for the stack. Without one (see also `cache.remote`) nothing is lost, but wake-ups
        take up to 2 s.
      '';
    };
    maxMemoryMiB = mkOption {
      type = types.ints.positive;
      default = contract.redis.maxMemoryMiB;
      example = 1024;
      description = "Memory in MiB that it fills before it forgets (maxmemory). It uses somewhat more in all.";
    };
    policy = mkOption {
      type = types.enum [
        "allkeys-lru"
        "allkeys-lfu"
        "allkeys-random"
        "volatile-lru"
        "volatile-lfu"
        "volatile-ttl"
        "noeviction"
      ];
      default = contract.redis.policy;
      example = "allkeys-lfu";
      description = "Which data it drops when it is full (maxmemory-policy). With `noeviction` writes fail instead.";
    };
    passwordFile =
      secretFile "/run/agenix/shop-redis" ''
        A file with the password, one word on one line, that both ends use. The default is made on the host itself and
        never leaves it; give one when other hosts connect (`cache.network`).
      ''
      // {
        defaultText = lib.literalMD "`/run/slipway-cache/NAME/password`, made at random at every boot";
      };
    urlFile = secretFile "/run/agenix/shop-redis-url" ''
      A file outside the Nix store with the address of a Redis elsewhere, such as `rediss://:PASSWORD@HOST:PORT`. Services
      get it as the secret REDIS_URL.
    '';
    address =
      internal (types.nullOr types.str) null
        "Where services find the cache: a name, or the path of its socket.";
    byAddress =
      internal types.bool true
        "Whether services go to the cache's address; otherwise they ask Sentinels.";
    replicated =
      internal types.bool false
        "Whether this host's Redis is one of several, with Sentinels.";
  };

  config = {
    environment = lib.mkIf (cache.byAddress && cache.address != null) {
      REDIS_HOST = lib.mkDefault cache.address;
    };
    secrets = lib.mkMerge [
      (lib.mkIf (cache.byAddress && cache.address != null && cache.passwordFile != null) {
        REDIS_PASSWORD = lib.mkDefault cache.passwordFile;
      })
      (lib.mkIf (!cache.enable && cache.urlFile != null) {
        REDIS_URL = lib.mkDefault cache.urlFile;
      })
    ];
    assertions = [
      {
        assertion = !(cache.enable && cache.urlFile != null);
        message = "cache.enable and cache.urlFile are both set, so it is not clear which Redis is meant: leave one out.";
      }
    ];
  };
}
