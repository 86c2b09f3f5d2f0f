# The domains of a stack: their names, settings of their own, and routes.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  stack = config;

  # What suits an api: nothing may be framed, loaded or referred to. A page needs other values, which nobody can guess.
  always.X-Content-Type-Options = "nosniff";
  ofApi = {
    X-Frame-Options = "DENY";
    Referrer-Policy = "no-referrer";
    Content-Security-Policy = "default-src 'none'; frame-ancestors 'none'";
  };
  # Whether nobody but programs of the contract writes what the domain answers.
  isApi =
    domain:
    lib.all (
      route:
      route.static == null
      && (route.service == null || (stack.services.${route.service}.preset or null) == "api")
    ) (lib.attrValues domain.routes);

  domain =
    { config, ... }:
    {
      options =
        import ./settings.nix {
          inherit lib;
          from = stack.proxy;
        }
        // {
          aliases = mkOption {
            type = types.listOf types.str;
            default = [ ];
            example = [ "www.shop.example.org" ];
            description = "Further names that are served alike and are part of the certificate.";
          };
          headers = mkOption {
            type = types.attrsOf (types.nullOr types.str);
            default = { };
            defaultText = lib.literalMD ''
              `X-Content-Type-Options = "nosniff"`, where all services have the preset `api` also `X-Frame-Options = "DENY"`,
              `Referrer-Policy = "no-referrer"` and a `Content-Security-Policy` that allows nothing, and `proxy.headers` over these
            '';
            example = {
              Content-Security-Policy = "default-src 'self'";
            };
            description = "Headers of every answer of the domain, as `proxy.headers`, one by one.";
          };
          routes = mkOption {
            type = types.attrsOf (types.submodule ./route.nix);
            default = { };
            example = lib.literalExpression ''
              {
                "/" = { static = packages.site; fallback = "/index.html"; };
                "/api" = { service = "web"; };
                "/old" = { redirect = "https://shop.example.org/new/"; };
              }
            '';
            description = ''
              What paths lead to, by path: `/api` is `/api` and all below it, not `/apix`. The longest one that fits a request
              counts, and a path without any is answered with 404.
            '';
          };
        };
      config.headers = lib.mapAttrs (_: lib.mkDefault) (
        always // lib.optionalAttrs (isApi config) ofApi // stack.proxy.headers
      );
    };
in
{
  imports = [ ./routes-checked.nix ];
  options.domains = mkOption {
    type = types.attrsOf (types.submodule domain);
    default = { };
    example = lib.literalExpression ''
      {
        "shop.example.org".routes."/".service = "web";
        "www.shop.example.org".routes."/".redirect = "https://shop.example.org/";
      }
    '';
    description = "The names that the stack answers to over HTTPS, each with its routes and certificate.";
  };
}
