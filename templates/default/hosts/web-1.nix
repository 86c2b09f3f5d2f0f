# One host with both programs, their database, its backups and the proxy. Every option: docs/options.md of Slipway.
{ packages, ... }:
{
  networking.hostName = "web-1";

  services.slipway.stacks.jobs = {
    services.api = {
      preset = "api";
      package = packages.api;
    };
    services.worker = {
      preset = "worker";
      package = packages.worker;
    };
    # Neither program uses one.
    cache.enable = false;
    proxy.domain = "jobs.example.com";
  };

  # The terms of the certificate's issuer, and your address for its messages.
  security.acme = {
    acceptTerms = true;
    defaults.email = "ops@example.com";
  };

  # Without your key nobody gets in after the installation.
  users.users.root.openssh.authorizedKeys.keys = [ ];
}
