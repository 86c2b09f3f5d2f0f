# What an authority does or does not is nothing that a switch or a roll-out can mend: systemd.services for a domain whose
# certificate comes from one. NixOS says with these exit codes that the authority gave none, and keeps the one that is
# there. Were it a failed unit, every switch of that day would fail, also the one that goes back. The timer asks again the
# next day.
{ lib }:
let
  # Since 25.11 what asks the authority is apart from what makes the first, self-signed certificate.
  ordering = if lib.versionAtLeast lib.trivial.release "25.11" then "acme-order-renew-" else "acme-";
in
domain: {
  "${ordering}${domain}".serviceConfig.SuccessExitStatus = [
    10
    11
  ];
}
