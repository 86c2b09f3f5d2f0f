# services.slipway.audit.anchor: sends the head of the control plane's audit log elsewhere on a schedule (docs/trust.md).
# It belongs on a host that is not the control plane's own, and it may be on several.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.services.slipway.audit.anchor;
  hardening = import ../nix/lib/hardening.nix;
  externalPath = import ../nix/lib/external-path.nix { inherit lib; };
  name = "slipway-audit-anchor";
  state = "/var/lib/${name}";

  shown = import ../nix/lib/shell-application.nix { inherit pkgs; } {
    name = "${name}-shown";
    runtimeInputs = [ pkgs.coreutils ];
    text = builtins.readFile ./audit-anchor.sh;
  };
  show = word: "${lib.getExe shown} ${word} ${state}/metrics ${toString cfg.lateAfterSeconds}";
in
{
  imports = [ ./packages.nix ];

  options.services.slipway.audit.anchor = {
    enable = lib.mkEnableOption "a timer that sends the head of the control plane's audit log elsewhere";
    package = mkOption {
      type = types.package;
      default = config.services.slipway.packages.slipway;
      defaultText = lib.literalMD "the flake's `slipway`";
      example = lib.literalExpression "inputs.slipway.packages.\${system}.slipway";
      description = "The command line.";
    };
    apiUrl = mkOption {
      type = types.strMatching "https://.+|http://(localhost|127[.][0-9.]+)(:[0-9]+)?(/.*)?";
      example = "https://deploy.example.com";
      description = "The control plane's address: https, or http for this machine itself.";
    };
    tokenFile = mkOption {
      type = externalPath;
      example = "/run/agenix/slipway-audit-token";
      description = "A file outside the Nix store with a token of a viewer: `slipway token create`.";
    };
    caFile = mkOption {
      type = types.nullOr types.path;
      default = null;
      example = "/etc/ssl/own-ca.pem";
      description = "A PEM file with a root certificate to trust in addition to the system's; null means none.";
    };
    schedule = mkOption {
      type = types.str;
      default = "hourly";
      example = "*:0/15";
      description = "When to send it, as `OnCalendar` of systemd takes it.";
    };
    lateAfterSeconds = mkOption {
      type = types.ints.between 60 (30 * 24 * 3600);
      default = 3 * 3600;
      example = 1800;
      description = "Seconds without a head that was taken, after which the alert `AnchorLate` fires.";
    };
    webhook = {
      url = mkOption {
        type = types.nullOr (types.strMatching "https://[^?#]+");
        default = null;
        example = "https://anchors.example.org/slipway";
        description = ''
          Where the head is posted, with the headers of Standard Webhooks; null means nowhere. The receiver should be a machine
          of somebody else.
        '';
      };
      secretFile = mkOption {
        type = types.nullOr externalPath;
        default = null;
        example = "/run/agenix/slipway-audit-webhook";
        description = "A file outside the Nix store with the secret that signs what is posted: `whsec_` and 32 bytes in base64.";
      };
      caFile = mkOption {
        type = types.nullOr types.path;
        default = null;
        example = "/etc/ssl/receiver-ca.pem";
        description = "A PEM file with a root certificate of the receiver; null means the system's alone.";
      };
    };
    command = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "ssh -i \"$CREDENTIALS_DIRECTORY/key\" anchors@backup.example.org 'cat >> heads'";
      description = "Commands of a shell that get the head as a line on their stdin, and must end with 0; null means none.";
    };
  };

  config = lib.mkIf cfg.enable {
    users.users.${name} = {
      isSystemUser = true;
      group = name;
    };
    users.groups.${name} = { };

    systemd.services.${name} = {
      description = "Send the head of Slipway's audit log elsewhere";
      wants = [ "network-online.target" ];
      after = [ "network-online.target" ];
      # A receiver that is away is tried again until it takes the head. A limit of starts would count those of the timer too,
      # and keep a close schedule from its work.
      unitConfig.StartLimitIntervalSec = 0;
      environment = {
        SLIPWAY_URL = cfg.apiUrl;
      }
      // lib.optionalAttrs (cfg.caFile != null) { SLIPWAY_CA_FILE = "${cfg.caFile}"; };
      serviceConfig = hardening { addresses = [ "any" ]; } // {
        Type = "oneshot";
        User = name;
        Group = name;
        StateDirectory = name;
        # What is there is no secret, and the exporter of metrics reads a part of it.
        StateDirectoryMode = "0755";
        UMask = "0022";
        LoadCredential = [
          "token:${cfg.tokenFile}"
        ]
        ++ lib.optional (cfg.webhook.secretFile != null) "secret:${cfg.webhook.secretFile}";
        ExecStartPre = show "known";
        ExecStart = lib.escapeShellArgs (
          [
            "${lib.getExe' cfg.package "slipway"}"
            "audit"
            "anchor"
            "--token-file"
            "%d/token"
            "--notes"
            "${state}/heads"
          ]
          ++ lib.optionals (cfg.webhook.url != null) [
            "--to"
            cfg.webhook.url
            "--secret-file"
            "%d/secret"
          ]
          ++ lib.optionals (cfg.webhook.caFile != null) [
            "--receiver-ca-file"
            "${cfg.webhook.caFile}"
          ]
          ++ lib.optionals (cfg.command != null) [
            "--command"
            "${pkgs.writeShellScript "slipway-audit-anchor-command" cfg.command}"
          ]
        );
        ExecStartPost = show "sent";
        Restart = "on-failure";
        RestartSec = 60;
        RestartSteps = 4;
        RestartMaxDelaySec = 900;
        # A wrong setting, and a log that was written anew: trying again changes neither.
        RestartPreventExitStatus = "2 20";
        TimeoutStartSec = 600;
        MemoryMax = "256M";
        TasksMax = 64;
      };
    };
    systemd.timers.${name} = {
      description = "Send the head of Slipway's audit log elsewhere";
      wantedBy = [ "timers.target" ];
      timerConfig = {
        OnCalendar = cfg.schedule;
        OnBootSec = 120;
        Persistent = true;
        RandomizedDelaySec = 60;
      };
    };
    services.prometheus.exporters.node.extraFlags = lib.mkIf (config.services.slipway.telemetry.enable
      or false
    ) [ "--collector.textfile.directory=${state}/metrics" ];

    assertions = [
      {
        assertion = cfg.webhook.url != null -> cfg.webhook.secretFile != null;
        message = "services.slipway.audit.anchor.webhook.url is set and secretFile is not: the receiver could not tell who sent a head; name a file with whsec_… of `openssl rand -base64 32`.";
      }
      {
        assertion = cfg.webhook.url != null || cfg.command != null;
        message = "services.slipway.audit.anchor.enable: a head that stays on this host proves little; set webhook.url or command.";
      }
    ];
  };
}
