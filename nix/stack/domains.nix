# The domains of a stack, and what their paths lead to.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;

  route = {
    options = {
      service = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "web";
        description = "The service of this stack that answers.";
      };
      static = mkOption {
        type = types.nullOr (types.either types.package types.path);
        default = null;
        example = lib.literalExpression "packages.site";
        description = ''
          A folder in the Nix store whose files are served, with the content types of their names. In containers the proxy's
          image holds them.
        '';
      };
      redirect = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "https://shop.example.org";
        description = "Where requests are sent on to. An address that ends with `/` gets the rest of the path appended.";
      };
      redirectStatus = mkOption {
        type = types.enum [
          301
          302
          307
          308
        ];
        default = 308;
        example = 302;
        description = "The status of `redirect`. Clients keep 301 and 308; 307 and 308 keep the method.";
      };
      closed = mkOption {
        type = types.bool;
        default = false;
        example = true;
        description = "Whether the path and all below it are answered with 404, as if they were not there.";
      };
      exact = mkOption {
        type = types.bool;
        default = false;
        example = true;
        description = "Whether only this very path is meant. Otherwise it is the path with all below it.";
      };
      stripPrefix = mkOption {
        type = types.bool;
        default = false;
        example = true;
        description = "Whether the service gets the path without this prefix.";
      };
      stream = mkOption {
        type = types.bool;
        default = false;
        example = true;
        description = ''
          Whether answers are passed on as they come, for server-sent events and the like, and connections may become
          WebSockets. They stay open for an hour without a byte, unless `readSeconds` says otherwise.
        '';
      };
      readSeconds = mkOption {
        type = types.nullOr types.ints.positive;
        default = null;
        example = 300;
        description = "Seconds without a byte from the service after which a request is answered with 504. Null: as the domain.";
      };
      bodyMiB = mkOption {
        type = types.nullOr types.ints.positive;
        default = null;
        example = 512;
        description = "Largest body of a request in MiB. Null: as the domain.";
      };
      fallback = mkOption {
        type = types.nullOr (types.strMatching "/.+");
        default = null;
        example = "/index.html";
        description = "The file of `static` that is served for paths without a file, as programs in the browser need it. Null: 404.";
      };
      immutablePaths = mkOption {
        type = types.listOf (types.strMatching "/.+");
        default = [ ];
        example = [ "/assets/" ];
        description = ''
          Folders of `static` whose files have a digest in their names: clients keep them for a year. All other files are
          asked for again each time, and answered with 304 while they are the same.
        '';
      };
    };
  };

  domain = {
    options = {
      aliases = mkOption {
        type = types.listOf types.str;
        default = [ ];
        example = [ "www.shop.example.org" ];
        description = "Further names that are served alike and are part of the certificate.";
      };
      routes = mkOption {
        type = types.attrsOf (types.submodule route);
        default = { };
        example = lib.literalExpression ''
          {
            "/" = { static = packages.site; fallback = "/index.html"; };
            "/api" = { service = "web"; };
            "/old" = { redirect = "https://shop.example.org/new/"; };
          }
        '';
        description = "What paths lead to, by path. The longest one that fits a request counts.";
      };
    };
  };

in
{
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

  config.assertions = lib.concatLists (
    lib.mapAttrsToList (
      name: domain:
      let
        option = "domains.\"${name}\"";
        perRoute =
          path: route:
          let
            at = "${option}.routes.\"${path}\"";
            kinds = lib.filter (set: set) [
              (route.service != null)
              (route.static != null)
              (route.redirect != null)
              route.closed
            ];
            target = config.services.${route.service};
          in
          [
            {
              assertion = lib.hasPrefix "/" path;
              message = "${at}: a path begins with /; put one before it.";
            }
            {
              assertion = lib.length kinds == 1;
              message = "${at} must lead to one thing: set one of service, static, redirect and closed.";
            }
            {
              assertion = route.service == null || config.services ? ${route.service};
              message = "${at}.service is ${toString route.service}, and the stack has ${
                if config.services == { } then
                  "no services"
                else
                  "only ${lib.concatStringsSep ", " (lib.attrNames config.services)}"
              }: correct the name.";
            }
            {
              assertion =
                route.service == null || !(config.services ? ${route.service}) || target.listen.type != "none";
              message = "${at}.service is ${toString route.service}, which listens nowhere: set services.${toString route.service}.listen.";
            }
            {
              assertion = route.static != null || (route.fallback == null && route.immutablePaths == [ ]);
              message = "${at}: fallback and immutablePaths are for static files; set static, or leave them out.";
            }
          ];
      in
      [
        {
          assertion = domain.routes != { };
          message = "${option} has no routes: set ${option}.routes.\"/\", or leave the domain out.";
        }
      ]
      ++ lib.concatLists (lib.mapAttrsToList perRoute domain.routes)
    ) config.domains
  );
}
