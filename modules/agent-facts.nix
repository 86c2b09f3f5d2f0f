# services.slipway.agent.facts: the closure's /etc/slipway/facts.json. It tells the agent where this host's certificates,
# backups and clusters are, so that a preflight can ask about them (docs/preflight.md).
{
  config,
  lib,
  options,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.services.slipway.agent;
  # Modules of Slipway can be used alone, so the options may be missing.
  stacks = lib.filterAttrs (_: stack: stack.enable && stack.backup.enable or false) (
    config.services.slipway.stacks or { }
  );
  exporter = config.services.slipway.backup.exporter.port or null;
  loader = config.boot.loader;
  boot =
    if config.boot.isContainer then
      null
    else if loader.systemd-boot.enable || loader.grub.enable && loader.grub.efiSupport then
      toString loader.efi.efiSysMountPoint
    else if loader.grub.enable then
      "/boot"
    else
      null;
in
{
  options.services.slipway.agent.facts = {
    certificates = mkOption {
      type = types.listOf (types.strMatching "/.+");
      default = [ ];
      example = [ "/var/lib/acme/*/cert.pem" ];
      description = ''
        Files of certificates whose expiry a preflight shows, as PEM. `/*/` stands for each folder at that place. Those of ACME
        are there by default.
      '';
    };
    clusters = mkOption {
      type = types.attrsOf (types.listOf types.str);
      default = { };
      example.main = [
        "slipway-cluster"
        "members"
      ];
      description = ''
        Clusters of databases that this host is a member of, each with the command that prints its members as JSON, as
        Patroni's `/cluster` has them. `services.slipway.cluster` adds its own.
      '';
    };
  };

  config = lib.mkIf cfg.enable {
    services.slipway.agent.facts.certificates = lib.mkIf (
      options.security ? acme && config.security.acme.certs != { }
    ) [ "/var/lib/acme/*/cert.pem" ];

    environment.etc."slipway/facts.json".text = builtins.toJSON (
      {
        inherit (cfg.facts) certificates;
        clusters = lib.mapAttrsToList (name: command: { inherit name command; }) cfg.facts.clusters;
      }
      // lib.optionalAttrs (boot != null) { inherit boot; }
      // lib.optionalAttrs (stacks != { } && exporter != null) {
        backups = "http://127.0.0.1:${toString exporter}/status";
      }
    );
  };
}
