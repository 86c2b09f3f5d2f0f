# What one path of a domain leads to.
{ lib, ... }:
let
  inherit (lib) mkOption types;
in
{
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
        A folder in the Nix store whose files are served, with the content types of their names, and compressed where that
        helps. Hidden files are not there, except below `/.well-known/`. Compose has them beside its files, and for Kubernetes an
        image of nginx holds them.
      '';
    };
    fallback = mkOption {
      type = types.nullOr (types.strMatching "/[A-Za-z0-9._~/-]+");
      default = null;
      example = "/index.html";
      description = "The file of `static` that is served for paths without a file, as programs in the browser need it. Null: 404.";
    };
    immutablePaths = mkOption {
      type = types.listOf (types.strMatching "/[A-Za-z0-9._~/-]+");
      default = [ ];
      example = [ "/assets" ];
      description = ''
        Folders of `static` whose files have a digest in their names: clients keep them for a year without asking. All other
        files are asked for again each time, and answered with 304 while the package is the same.
      '';
    };
    redirect = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "https://shop.example.org/";
      description = ''
        Where requests are sent on to: an address, or a path of this domain. The query goes along, and one that ends with `/`
        gets the rest of the path as well.
      '';
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
      description = ''
        Whether the path and all below it are answered with 404, in upper or lower case, as if they were not there. Longer
        routes below it stay open.
      '';
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
      description = ''
        Whether the service gets the path without this prefix, and the prefix as X-Forwarded-Prefix. Encoded slashes then come
        as slashes.
      '';
    };
    stream = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = ''
        Whether answers are passed on as they come, for server-sent events and the like, and connections may become
        WebSockets. They stay open for an hour without a byte, unless `readSeconds` says otherwise. A changed configuration
        of nginx ends them after about two minutes, and clients connect again.
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
  };
}
