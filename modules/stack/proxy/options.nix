# Options of a stack's proxy: names, certificates, addresses.
{ lib, ... }:
let
  inherit (lib) mkOption types;
  contract = import ../../../nix/contract.nix;
  externalPath = import ../../../nix/lib/external-path.nix { inherit lib; };

  # What suits an api: set one by one, so that a stack that changes one keeps the others.
  headers = {
    X-Content-Type-Options = "nosniff";
    X-Frame-Options = "DENY";
    Referrer-Policy = "no-referrer";
    Content-Security-Policy = "default-src 'none'; frame-ancestors 'none'";
  };

  proxyOptions =
    { config, ... }:
    {
      options.proxy = {
        enable = mkOption {
          type = types.bool;
          default = config.proxy.domain != null;
          defaultText = lib.literalMD "whether `proxy.domain` is set";
          example = true;
          description = "Whether nginx serves this stack over HTTPS. Without, the api is reachable over its sockets only.";
        };
        domain = mkOption {
          type = types.nullOr types.str;
          default = null;
          example = "shop.example.org";
          description = "The name that clients use. The certificate is for it; requests for other names are refused.";
        };
        aliases = mkOption {
          type = types.listOf types.str;
          default = [ ];
          example = [ "www.shop.example.org" ];
          description = "Further names that are served alike and are part of the certificate.";
        };
        listenAddresses = mkOption {
          type = types.listOf types.str;
          default = [ ];
          example = [ "10.1.0.11" ];
          description = "Addresses to listen on, IPv6 in brackets. Empty: all of this host's.";
        };
        pingPort = mkOption {
          type = types.port;
          default = contract.ports.proxyPing;
          example = 8082;
          description = ''
            Port on 127.0.0.1 where the health paths answer over plain HTTP, for checks on the host itself. Every stack of a
            host needs its own.
          '';
        };
        http3 = mkOption {
          type = types.bool;
          default = false;
          example = true;
          description = ''
            Whether to offer HTTP/3 (UDP). After a reload of nginx, as every switch that changes its configuration brings, many
            new HTTP/3 connections fail for as long as old workers live. Clients then go on with HTTP/2, some after a wait.
          '';
        };
        tls = {
          certificate = mkOption {
            type = types.nullOr types.path;
            default = null;
            example = "/run/agenix/shop-certificate";
            description = ''
              A PEM file with the certificate and its chain, readable by the group nginx. Unset: the certificate is issued
              and renewed over ACME for `proxy.domain`, which must then resolve to this host, with port 80 reachable. An
              authority that is away fails no switch: the certificate that is there stays, and it is asked again daily.
            '';
          };
          key = mkOption {
            type = types.nullOr externalPath;
            default = null;
            example = "/run/agenix/shop-certificate-key";
            description = "The PEM file with that certificate's private key, readable by the group nginx only.";
          };
          clientAuthority = mkOption {
            type = types.nullOr types.path;
            default = null;
            example = "/etc/slipway/fleet-ca.pem";
            description = ''
              A PEM file with the authority whose certificates clients must show. Unset: clients show none. For listeners on a
              private network, such as an app host's behind an edge host.
            '';
          };
          hsts = {
            maxAgeSeconds = mkOption {
              type = types.ints.unsigned;
              default = 63072000;
              example = 300;
              description = ''
                Seconds that a browser refuses to talk to the domain without TLS (Strict-Transport-Security). Begin with a
                small number on a domain that was served over plain HTTP; 0 makes browsers forget.
              '';
            };
            includeSubDomains = mkOption {
              type = types.bool;
              default = false;
              example = true;
              description = "Whether that holds for all names below the domain as well, whoever serves them.";
            };
          };
        };
        headers = mkOption {
          type = types.attrsOf (types.nullOr types.str);
          default = { };
          defaultText = lib.literalExpression (lib.generators.toPretty { } headers);
          example = {
            Content-Security-Policy = "default-src 'self'";
            X-Frame-Options = null;
          };
          description = ''
            Headers of every answer, beside Strict-Transport-Security. They replace what the api sets; null lets the api's own
            pass. The defaults suit an api: nothing may be framed, guessed, loaded or referred to.
          '';
        };
        closedPaths = mkOption {
          type = types.listOf types.str;
          default = [ contract.paths.metrics ];
          example = [
            "/metrics"
            "/internal"
          ];
          description = "Paths that are answered with 404, with all below them, as if they were not there.";
        };
        extraConfig = mkOption {
          type = types.lines;
          default = "";
          example = "location /static/ { root /srv/shop; }";
          description = "Lines for nginx, at the end of this stack's server.";
        };
        accessLog = {
          enable = mkOption {
            type = types.bool;
            default = true;
            example = false;
            description = ''
              Whether to log requests, one JSON object a line, to /var/log/nginx/stacks/NAME.json. A file and not the
              journal: that drops lines beyond its rate limit, and requests would push the units' own lines out of it.
            '';
          };
          days = mkOption {
            type = types.ints.positive;
            default = 14;
            example = 3;
            description = "Days that access logs are kept. They hold clients' addresses.";
          };
        };
      };
      config.proxy.headers = lib.mapAttrs (_: lib.mkDefault) headers;
    };
in
{
  options.services.slipway.stacks = mkOption {
    type = types.attrsOf (types.submodule proxyOptions);
  };
}
