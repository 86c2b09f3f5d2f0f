# What is before a stack's services: settings of all its domains, and the short form for a stack with one.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  inherit (config) front proxy;
in
{
  options.proxy = import ./settings.nix { inherit lib; } // {
    domain = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "shop.example.org";
      description = ''
        The name that clients use: short for `domains.<name>` whose `/` leads to the first service with the preset `api`.
      '';
    };
    aliases = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "www.shop.example.org" ];
      description = "The `aliases` of that domain.";
    };
    headers = mkOption {
      type = types.attrsOf (types.nullOr types.str);
      default = { };
      example = {
        Content-Security-Policy = "default-src 'self'";
        X-Frame-Options = null;
      };
      description = ''
        Headers of every answer, beside Strict-Transport-Security. They replace what services set; null lets a service's own
        pass. They go over the defaults of `domains.<name>.headers`.
      '';
    };
  };

  config.domains = lib.mkIf (proxy.domain != null) {
    ${proxy.domain} = {
      aliases = lib.mkDefault proxy.aliases;
      routes = lib.mkIf (front != null) { "/".service = lib.mkDefault front; };
    };
  };
}
