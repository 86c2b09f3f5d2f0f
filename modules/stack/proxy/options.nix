# What only a host's proxy has, beside the settings of nix/stack: certificates, addresses, logs.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  contract = import ../../../nix/contract.nix;
  inherit (import ../../../nix/stack/texts.nix { inherit lib; }) isDomain;
  host = config;

  extraConfig = mkOption {
    type = types.lines;
    default = "";
    example = "location /downloads/ { root /srv/shop; }";
    description = "Lines for nginx, at the end of the server: of each domain, or of this one alone.";
  };

  stackOptions =
    { config, ... }:
    let
      stack = config;
      tls = import ./tls.nix { inherit lib; };

      domain =
        { config, ... }:
        let
          own = config.tls;
          # Where the certificate comes from is one thing: a domain that says anything of it says all.
          from =
            if own.certificate == null && own.useACMEHost == null && own.dnsProvider == null then
              stack.proxy.tls
            else
              own;
        in
        {
          options = {
            inherit extraConfig;
            tls = tls.options // {
              inUse = mkOption {
                type = types.raw;
                internal = true;
                readOnly = true;
                default = {
                  inherit (from)
                    certificate
                    key
                    useACMEHost
                    dnsCredentialsFile
                    ;
                  dnsProvider =
                    if tls.isAcme from && from.dnsProvider == null then
                      host.security.acme.defaults.dnsProvider
                    else
                      from.dnsProvider;
                  # Whether this host asks an authority for the domain alone.
                  isAcme = tls.isAcme from;
                  clientAuthority =
                    if own.clientAuthority == null then stack.proxy.tls.clientAuthority else own.clientAuthority;
                };
                description = "The domain's own values, or else the stack's.";
              };
            };
          };
        };
      leading = lib.filter (
        name: lib.any (route: route.service == stack.front) (lib.attrValues stack.domains.${name}.routes)
      ) (lib.attrNames stack.domains);
    in
    {
      options = {
        domains = mkOption { type = types.attrsOf (types.submodule domain); };
        proxy = {
          inherit extraConfig;
          enable = mkOption {
            type = types.bool;
            default = stack.domains != { };
            defaultText = lib.literalMD "whether the stack has a domain";
            example = true;
            description = "Whether nginx serves this stack's domains over HTTPS. Without, services are reachable on this host only.";
          };
          served = mkOption {
            type = types.attrsOf types.raw;
            internal = true;
            readOnly = true;
            # What is no name is refused; NixOS would say less of it, and earlier.
            default = lib.optionalAttrs stack.proxy.enable (
              lib.filterAttrs (name: _: isDomain name) stack.domains
            );
            description = "The domains that nginx serves.";
          };
          # The first that leads to the api, of which there is one by default.
          mainDomain = mkOption {
            type = types.nullOr types.str;
            internal = true;
            readOnly = true;
            default =
              if stack.proxy.served == { } then
                null
              else if stack.proxy.domain != null then
                stack.proxy.domain
              else
                lib.head (lib.optionals (stack.front != null) leading ++ lib.attrNames stack.domains);
            description = "The domain that stands for the stack.";
          };
          ping = mkOption {
            type = types.bool;
            internal = true;
            readOnly = true;
            default = stack.proxy.served != { } && stack.front != null && stack.proxy.upstream.servers != [ ];
            description = "Whether the health paths of an api answer on `pingPort`.";
          };
          listenAddresses = mkOption {
            type = types.listOf types.str;
            default = [ ];
            example = [ "10.1.0.11" ];
            description = "Addresses to listen on, IPv6 in brackets. Empty: `services.nginx.defaultListenAddresses`, which are all of this host's.";
          };
          pingPort = mkOption {
            type = types.port;
            default = contract.ports.proxyPing;
            example = 8082;
            description = ''
              Port on 127.0.0.1 where the health paths of an api answer over plain HTTP, for checks on the host itself. Every
              stack of a host needs its own.
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
          tls = tls.options;
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
      };
    };
in
{
  options.services.slipway.stacks = mkOption {
    type = types.attrsOf (types.submodule stackOptions);
  };
}
