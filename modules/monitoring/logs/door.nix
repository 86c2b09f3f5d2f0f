# The door of the log store: hosts send their lines here, each known by its certificate or its password.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  contract = import ../../../nix/contract.nix;
  externalPath = import ../../../nix/lib/external-path.nix { inherit lib; };
  monitoring = config.services.slipway.monitoring;
  cfg = monitoring.logs;
  inherit (cfg) door;
  active = monitoring.enable && cfg.enable;
  open = door.address != null;
  name = "slipway-logs-door";
  folder = "/run/${name}";
  own = config.networking.hostName;
  option = "services.slipway.monitoring.logs.door";

  inherit (import ../../../nix/lib/address.nix) hostPort;
  files = lib.optionalAttrs open (
    lib.filterAttrs (_: file: file != null) {
      inherit (door)
        authority
        certificate
        key
        passwordsFile
        ;
    }
  );
  missing = lib.filter (what: door.${what} == null) [
    "certificate"
    "key"
  ];
  inherit (import ../../../nix/stack/texts.nix { inherit lib; }) isHost;
in
{
  options.services.slipway.monitoring.logs.door = {
    address = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "10.1.0.30";
      description = "This host's address in the network that it shares with the senders. Null: only this host's own logs are kept.";
    };
    port = mkOption {
      type = types.ints.between 1024 65535;
      default = contract.ports.logs;
      example = 19444;
      description = "The TCP port of the door.";
    };
    clients = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "10.1.0.11" ];
      description = "The addresses of the senders. The firewall opens the port for them only.";
    };
    certificate = mkOption {
      type = types.nullOr types.path;
      default = null;
      example = "/etc/slipway/fleet-certificate.pem";
      description = "A PEM file with the door's certificate and its chain.";
    };
    key = mkOption {
      type = types.nullOr externalPath;
      default = null;
      example = "/run/agenix/fleet-key";
      description = "The PEM file with that certificate's private key, readable by root. A changed file is taken at once.";
    };
    authority = mkOption {
      type = types.nullOr types.path;
      default = null;
      example = "/etc/slipway/fleet-authority.pem";
      description = "A PEM file with the authority that the senders' certificates must come from. Null: senders have passwords.";
    };
    passwordsFile = mkOption {
      type = types.nullOr externalPath;
      default = null;
      example = "/run/agenix/logs-passwords";
      description = "A file with a line for each sender, as `htpasswd -nB app-1` writes it, readable by root. The name is the host's.";
    };
    senders = mkOption {
      type = types.attrsOf types.str;
      default = lib.listToAttrs (
        map (host: lib.nameValuePair host.name host.door.name) (
          lib.filter (host: host.door != null) monitoring.watched
        )
      );
      defaultText = lib.literalMD "the hosts of `monitoring.hosts` that have telemetry, each with its `telemetry.door.name`";
      example = {
        app-1 = "app-1.internal";
      };
      description = ''
        The hosts that may send, each with the common name (CN) of its certificate. Lines get the name of the host whose
        certificate or password came with them, whatever they say themselves.
      '';
    };
    configuration = mkOption {
      type = types.lines;
      internal = true;
      readOnly = true;
      default = import ./door-text.nix { inherit lib contract; } {
        inherit folder own;
        inherit (door) clients;
        opensearch =
          if cfg.opensearch.enable then config.services.opensearch.settings."http.port" else null;
        senders = lib.mapAttrsToList (host: certificate: { inherit host certificate; }) door.senders;
        certificates = door.authority != null;
        passwords = door.passwordsFile != null;
        listen = if open then hostPort door.address door.port else null;
      };
    };
  };

  config = lib.mkIf active (
    lib.mkMerge [
      (import ../../telemetry/door-unit.nix { inherit config lib pkgs; } {
        inherit name option files;
        behind = "the log store";
        clients = lib.optionals open door.clients;
        inherit (door) configuration port;
        memoryMax = "128M";
      })
      {
        assertions = lib.optionals open [
          {
            assertion =
              isHost door.address
              && !lib.elem door.address [
                "0.0.0.0"
                "::"
              ];
            message = "${option}.address is ${door.address}: give the IP address of this host in the network that it shares with the senders.";
          }
          {
            assertion = door.clients != [ ] && lib.all isHost door.clients;
            message = "${option}.clients must have the IP addresses of the senders: the firewall lets nobody else in and knows no names.";
          }
          {
            assertion = missing == [ ];
            message = "${option} has no ${lib.concatStringsSep " and no " missing}: set ${
              lib.concatMapStringsSep " and " (what: "${option}.${what}") missing
            }.";
          }
          {
            assertion = door.authority != null || door.passwordsFile != null;
            message = "${option} cannot know its senders: set ${option}.authority for certificates, or ${option}.passwordsFile.";
          }
          {
            assertion = door.senders != { };
            message = "${option}.senders is empty, so every line would be refused: set services.slipway.monitoring.hosts, or name the hosts here.";
          }
          {
            assertion = lib.all (host: builtins.match "[A-Za-z0-9][A-Za-z0-9-]*" host != null) (
              lib.attrNames door.senders
            );
            message = "${option}.senders has names that no host can have: take letters, digits and hyphens.";
          }
          {
            assertion = lib.allUnique (lib.attrValues door.senders);
            message = "${option}.senders has two hosts with one certificate name: their lines could not be told apart.";
          }
        ];
      }
    ]
  );
}
