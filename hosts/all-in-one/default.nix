# One host with everything: the control plane, its database and cache, the proxy, an agent that deploys the host itself, and
# the monitoring of all of it.
{
  imports = [ ./monitoring.nix ];
  networking.hostName = "all-in-one";

  # The terms of the certificate's issuer, and your address for its messages.
  security.acme = {
    acceptTerms = true;
    defaults.email = "ops@example.com";
  };

  services.slipway.controlPlane = {
    enable = true;
    domain = "deploy.example.com";
    secretKeyFile = "/var/lib/secrets/slipway-secret-key";
    adminPasswordFile = "/var/lib/secrets/slipway-admin-password";
  };

  services.slipway.agent = {
    enable = true;
    apiUrl = "https://deploy.example.com";
    tokenFile = "/var/lib/secrets/slipway-agent-token";
  };
}
