# One host with the stack and the backups of its database.
{ packages, ... }:
{
  networking.hostName = "web-1";

  services.slipway.stacks.jobs = import ../stack.nix { inherit packages; };

  # The terms of the certificate's issuer, and your address for its messages.
  security.acme = {
    acceptTerms = true;
    defaults.email = "ops@example.com";
  };

  # Without your key nobody gets in after the installation.
  users.users.root.openssh.authorizedKeys.keys = [ ];
}
