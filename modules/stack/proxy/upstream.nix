# The proxy's upstream: the sockets of this host's replicas, or other hosts over TLS.
{ lib, ... }:
let
  inherit (lib) mkOption types;
  externalPath = import ../../../nix/lib/external-path.nix { inherit lib; };

  upstreamOptions =
    { config, ... }:
    let
      own = if config.front == null then [ ] else config.services.${config.front}.addresses;
    in
    {
      options.proxy = {
        upstream = {
          servers = mkOption {
            type = types.listOf types.str;
            default = own;
            defaultText = lib.literalMD "the service's own replicas";
            example = [
              "10.1.0.11:443"
              "10.1.0.12:443"
            ];
            description = ''
              Where the first service with the preset `api` is, as nginx writes addresses. Addresses other than sockets are
              hosts with the same stack: all services are there, and spoken to over TLS (`proxy.upstream.tls`). A name that
              does not resolve when nginx starts keeps it from starting: give IP addresses.
            '';
          };
          remote = mkOption {
            type = types.bool;
            internal = true;
            readOnly = true;
            default = lib.any (server: !lib.hasPrefix "unix:" server) (
              lib.subtractLists own config.proxy.upstream.servers
            );
            description = "Whether the services are on other hosts.";
          };
          tls = {
            name = mkOption {
              type = types.nullOr types.str;
              default = null;
              example = "shop.internal";
              description = ''
                The name that the other hosts' certificates must be for. Null: the domain. nginx there refuses requests (421)
                whose Host is not the name of the handshake, so another name is for other servers than nginx.
              '';
            };
            authority = mkOption {
              type = types.nullOr types.path;
              default = null;
              example = "/etc/slipway/fleet-ca.pem";
              description = "A PEM file with the authority that the other hosts' certificates must come from. Required for addresses other than sockets.";
            };
            certificate = mkOption {
              type = types.nullOr types.path;
              default = null;
              example = "/run/agenix/edge-certificate";
              description = "A PEM file with the certificate that this host shows to the others, readable by the group nginx.";
            };
            key = mkOption {
              type = types.nullOr externalPath;
              default = null;
              example = "/run/agenix/edge-key";
              description = "The PEM file with that certificate's private key, readable by the group nginx only.";
            };
          };
        };
        trustedProxies = mkOption {
          type = types.listOf types.str;
          default = [ ];
          example = [ "10.1.0.10" ];
          description = ''
            Addresses or networks of proxies before this one, whose X-Real-IP and X-Request-Id are believed. Whoever has such
            an address can pretend to be any client.
          '';
        };
      };
    };
in
{
  options.services.slipway.stacks = mkOption {
    type = types.attrsOf (types.submodule upstreamOptions);
  };
}
