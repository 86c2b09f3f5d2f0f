# The certificates of domains: from an authority, from another name of the host, and from files.
{
  host,
  standIn,
  lib,
  ...
}:
let
  inherit (import ./routes-tools.nix { inherit standIn lib; }) acme shop served;
  tls = lib.mapAttrs (
    _: vhost: {
      inherit (vhost) enableACME useACMEHost acmeRoot;
      # Without a value where it comes from an authority.
      sslCertificate =
        if vhost.enableACME || vhost.useACMEHost != null then null else vhost.sslCertificate;
    }
  );
  manyCertificates = host [
    acme
    (shop {
      proxy.tls.dnsProvider = "hetzner";
      domains = {
        "dns.example.com" = {
          routes."/".service = "web";
          aliases = [ "*.dns.example.com" ];
        };
        "web.example.com" = {
          routes."/".service = "web";
          tls.useACMEHost = "example.com";
        };
        "files.example.com" = {
          routes."/".service = "web";
          tls.certificate = "/run/secrets/certificate";
          tls.key = "/run/secrets/key";
        };
      };
    })
    {
      security.acme.certs."example.com" = {
        domain = "*.example.com";
        dnsProvider = "hetzner";
        group = "nginx";
      };
    }
  ];
in
[
  {
    name = "each domain has a certificate of its own source, or the stack's";
    got = {
      hosts = tls (
        lib.filterAttrs (
          name: _: lib.hasSuffix ".example.com" name
        ) manyCertificates.services.nginx.virtualHosts
      );
      dns = {
        inherit (manyCertificates.security.acme.certs."dns.example.com")
          dnsProvider
          webroot
          extraDomainNames
          ;
      };
      failed = map (one: one.message) (lib.filter (one: !one.assertion) manyCertificates.assertions);
    };
    want = {
      hosts = {
        "dns.example.com" = {
          enableACME = true;
          useACMEHost = null;
          acmeRoot = null;
          sslCertificate = null;
        };
        "web.example.com" = {
          enableACME = false;
          useACMEHost = "example.com";
          acmeRoot = "/var/lib/acme/acme-challenge";
          sslCertificate = null;
        };
        "files.example.com" = {
          enableACME = false;
          useACMEHost = null;
          acmeRoot = "/var/lib/acme/acme-challenge";
          sslCertificate = "/run/secrets/certificate";
        };
      };
      dns = {
        dnsProvider = "hetzner";
        webroot = null;
        extraDomainNames = [ "*.dns.example.com" ];
      };
      failed = [ ];
    };
  }
  {
    name = "the host's provider of DNS is that of its stacks";
    got =
      let
        config = host (served [
          { security.acme.defaults.dnsProvider = "hetzner"; }
        ]);
      in
      [
        config.services.nginx.virtualHosts."shop.example.com".acmeRoot
        config.security.acme.certs."shop.example.com".dnsProvider
      ];
    want = [
      null
      "hetzner"
    ];
  }
  {
    name = "another domain restarts nginx only for a certificate of its own from an authority";
    got =
      let
        unitWith =
          tls:
          (host (served [
            { security.acme.certs."example.com".group = "nginx"; }
            {
              services.slipway.stacks.shop.domains = lib.mapAttrs (_: tls: {
                routes."/".service = "web";
                inherit tls;
              }) ({ "first.example.com".useACMEHost = "example.com"; } // tls);
            }
          ])).systemd.units."nginx.service".text;
        before = unitWith { };
      in
      map (tls: unitWith { "other.example.com" = tls; } == before) [
        {
          certificate = "/run/secrets/certificate";
          key = "/run/secrets/key";
        }
        { useACMEHost = "example.com"; }
        { }
      ];
    want = [
      true
      true
      false
    ];
  }
]
