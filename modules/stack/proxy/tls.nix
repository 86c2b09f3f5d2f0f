# Where a certificate comes from: options of a stack and of each of its domains.
{ lib }:
let
  inherit (lib) mkOption types;
  externalPath = import ../../../nix/lib/external-path.nix { inherit lib; };
  optional =
    type: example: description:
    mkOption {
      type = types.nullOr type;
      default = null;
      inherit example description;
    };
in
{
  # From an authority, for this domain alone.
  isAcme = tls: tls.certificate == null && tls.useACMEHost == null;

  options = {
    certificate = optional types.path "/run/agenix/shop-certificate" ''
      A PEM file with the certificate and its chain, readable by the group nginx. Without it and `useACMEHost`, an authority
      issues and renews the certificate over ACME. The domain must then resolve to this host, with port 80 reachable. An
      authority that is away fails no switch: the certificate that is there stays, and it is asked again daily.
    '';
    key =
      optional externalPath "/run/agenix/shop-certificate-key"
        "The PEM file with that certificate's private key, readable by the group nginx only.";
    useACMEHost = optional types.str "example.org" ''
      A certificate of `security.acme.certs` that is for this domain as well, such as one with `*.example.org`. Its group
      must be one of nginx'.
    '';
    dnsProvider = optional types.str "hetzner" ''
      Who has the domain's DNS, as `security.acme.certs.<name>.dnsProvider` takes it. The authority then looks for a record
      there (DNS-01): the domain need not resolve to this host, and aliases may begin with `*.`. Null:
      `security.acme.defaults.dnsProvider`, or else over port 80 (HTTP-01).
    '';
    dnsCredentialsFile = optional externalPath "/run/agenix/dns-credentials" ''
      A file outside the Nix store with the variables that the provider's program needs, a line each. Null: the one of
      `security.acme.defaults`.
    '';
    clientAuthority = optional types.path "/etc/slipway/fleet-ca.pem" ''
      A PEM file with the authority whose certificates clients must show. Unset: clients show none. For listeners on a
      private network, such as an app host's behind an edge host.
    '';
  };
}
