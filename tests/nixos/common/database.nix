# A host with the control plane's stack, its database and its backups, and a table `load` to look for.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  # Of the test alone.
  secret = name: text: "${pkgs.writeText name text}";
in
{
  services.slipway.stacks.slipway = {
    api.package = config.services.slipway.packages.slipway-api;
    worker.package = config.services.slipway.packages.slipway-worker;
    proxy.enable = lib.mkDefault false;
    secrets = {
      SECRET_KEY = "/var/lib/secrets/key";
      ADMIN_PASSWORD = "/var/lib/secrets/admin";
    };
    backup.offsite = {
      repository = "/srv/restic";
      passwordFile = "/var/lib/secrets/restic";
    };
  };
  system.activationScripts.testSecrets.text = ''
    install -d -m 0700 /var/lib/secrets
    install -m 0600 ${secret "key" (builtins.hashString "sha256" "for tests alone")} /var/lib/secrets/key
    install -m 0600 ${secret "admin" "correct-horse-battery"} /var/lib/secrets/admin
    install -m 0600 ${secret "restic" "staple-battery-horse"} /var/lib/secrets/restic
  '';
}
