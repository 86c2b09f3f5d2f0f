# Certificates from an authority: what it does or does not is nothing that a switch or a roll-out can mend.
{ config, lib, ... }:
let
  certificates = lib.unique (
    lib.mapAttrsToList (_: stack: stack.proxy.domain) (
      lib.filterAttrs (
        _: stack:
        stack.enable
        && stack.proxy.enable
        && stack.proxy.domain != null
        && stack.proxy.tls.certificate == null
      ) config.services.slipway.stacks
    )
  );
  # Since 25.11 what asks the authority is apart from what makes the first, self-signed certificate.
  ordering = if lib.versionAtLeast lib.trivial.release "25.11" then "acme-order-renew-" else "acme-";
in
{
  # NixOS says with these that the authority gave no certificate, and keeps the one that is there. Were it a failed unit,
  # every switch of that day would fail, also the one that goes back. The timer asks again the next day.
  systemd.services = lib.genAttrs (map (certificate: ordering + certificate) certificates) (_: {
    serviceConfig.SuccessExitStatus = [
      10
      11
    ];
  });
}
