# Certificates from an authority: what it does or does not is nothing that a switch or a roll-out can mend.
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
  # Since 25.11 what asks the authority is apart from what makes the first, self-signed certificate.
  ordering = if lib.versionAtLeast lib.trivial.release "25.11" then "acme-order-renew-" else "acme-";
in
{
  security.acme.certs = lib.mapAttrs (_: tls: {
    dnsProvider = lib.mkDefault tls.dnsProvider;
    environmentFile = lib.mkIf (tls.dnsCredentialsFile != null) (lib.mkDefault tls.dnsCredentialsFile);
  }) (lib.filterAttrs (_: tls: tls.dnsProvider != null) asked);

  # NixOS says with these that the authority gave no certificate, and keeps the one that is there. Were it a failed unit,
  # every switch of that day would fail, also the one that goes back. The timer asks again the next day.
  systemd.services = lib.mapAttrs' (
    domain: _:
    lib.nameValuePair (ordering + domain) {
      serviceConfig.SuccessExitStatus = [
        10
        11
      ];
    }
  ) asked;
}
