# One host with two stacks of programs that know nothing of Slipway, and a Grafana of the host's own. The stacks have
# their databases in one server, and so has Grafana.
{
  imports = [
    ./reader.nix
    ./desk.nix
    ./grafana.nix
  ];
  networking.hostName = "team";

  # The terms of the certificates' issuer, and your address for its messages.
  security.acme = {
    acceptTerms = true;
    defaults.email = "ops@example.com";
  };

  # The archive of the server's changes has all databases; it is copied with the backups of this stack.
  services.slipway.backup.archive.stack = "reader";
}
