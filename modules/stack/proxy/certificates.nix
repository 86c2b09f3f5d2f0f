# Certificates from an authority.
{ config, lib, ... }:
let
  # Domain -> its TLS, for those that this host asks an authority for.
  asked = lib.mapAttrs (_: domain: domain.tls.inUse) (
    lib.filterAttrs (_: domain: domain.tls.inUse.isAcme) (
      lib.mergeAttrsList (
        map (stack: stack.proxy.served) (
          lib.filter (stack: stack.enable) (lib.attrValues config.services.slipway.stacks)
        )
      )
    )
  );
  patience = import ../../../nix/lib/acme-patience.nix { inherit lib; };
in
{
  security.acme.certs = lib.mapAttrs (_: tls: {
    dnsProvider = lib.mkDefault tls.dnsProvider;
    environmentFile = lib.mkIf (tls.dnsCredentialsFile != null) (lib.mkDefault tls.dnsCredentialsFile);
  }) (lib.filterAttrs (_: tls: tls.dnsProvider != null) asked);

  systemd.services = lib.mkMerge (map patience (lib.attrNames asked));
}
