# services.slipway.agent: the program that fetches, activates and checks releases of the control plane, and commits or
# reverts them (docs/agent.md).
{
  config,
  lib,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.services.slipway.agent;
  contract = import ../nix/contract.nix;
  hardening = import ../nix/lib/hardening.nix;
  externalPath = import ../nix/lib/external-path.nix { inherit lib; };
in
{
  imports = [
    ./packages.nix
    ./store.nix
    ./agent-boot.nix
    ./agent-checks.nix
    ./agent-collect.nix
    ./agent-facts.nix
    ./agent-hooks.nix
    ./agent-release-keys.nix
  ];

  options.services.slipway.agent = {
    enable = lib.mkEnableOption "the agent that deploys this host from a Slipway control plane";
    package = mkOption {
      type = types.package;
      default = config.services.slipway.packages.slipway-agent;
      defaultText = lib.literalMD "the flake's `slipway-agent`";
      example = lib.literalExpression "inputs.slipway.packages.\${system}.slipway-agent";
      description = ''
        The agent. It is also in the system's path, since a dead-man runs the agent of the prior.
      '';
    };
    apiUrl = mkOption {
      type = types.str;
      example = "https://deploy.example.com";
      description = "The control plane's address: https, or http for this machine itself.";
    };
    host = mkOption {
      type = types.strMatching "[a-z0-9-]{1,63}";
      default = config.networking.hostName;
      defaultText = lib.literalExpression "config.networking.hostName";
      example = "app-1";
      description = "The host's name, as registered with `slipway host create`.";
    };
    tokenFile = mkOption {
      type = externalPath;
      example = "/run/agenix/slipway-agent-token";
      description = ''
        A file outside the Nix store with the host's token, which `slipway host create` shows once. Only the agent sees it.
      '';
    };
    caFile = mkOption {
      type = types.nullOr types.path;
      default = null;
      example = "/etc/ssl/own-ca.pem";
      description = "A PEM file with a root certificate to trust in addition to the system's; null means none.";
    };
    keepReleases = mkOption {
      type = types.ints.between 1 100;
      default = 3;
      example = 10;
      description = "Committed releases that stay protected from garbage collection, besides the live system and the boot default.";
    };
    minSwitchSeconds = mkOption {
      type = types.ints.between 1 3600;
      default = 60;
      example = 300;
      description = ''
        The least time in seconds that a switch gets, and the way back, whatever a strategy says. Whoever holds the control
        plane could otherwise have each switch ended in its middle.
      '';
    };
    maxRebootsPerDay = mkOption {
      type = types.ints.between 1 1000;
      default = 10;
      example = 4;
      description = ''
        How often rollouts may reboot the host within 24 h, the reboots back to its prior included. The agent refuses a
        release that would reboot it once more. Whoever holds the control plane could otherwise have it reboot for ever.
      '';
    };
    metricsPort = mkOption {
      type = types.nullOr types.port;
      default = contract.ports.agentMetrics;
      example = null;
      description = "The port of the agent's metrics on 127.0.0.1; null means none.";
    };
    environment = mkOption {
      type = types.attrsOf types.str;
      default = { };
      example.LOG_LEVEL = "info,slipway_host=debug";
      description = "More settings of the agent (docs/settings.md). Put no secrets here.";
    };
  };

  config = lib.mkIf cfg.enable {
    environment.systemPackages = [ cfg.package ];

    systemd.services.slipway-agent = {
      description = "Slipway agent";
      wantedBy = [ "multi-user.target" ];
      wants = [ "network-online.target" ];
      after = [
        "network-online.target"
        "nix-daemon.socket"
      ];
      # An activation goes on in a separate unit, and the new agent finds it in the journal. So the new generation's
      # agent must reach the control plane before the commit. If it cannot, the dead-man puts the prior back. The agent
      # is restarted and not stopped first, so that a failed switch leaves an agent running.
      stopIfChanged = false;
      path = [
        config.nix.package
        config.systemd.package
      ];
      environment = {
        APP_ENV = "production";
        AGENT_API_URL = cfg.apiUrl;
        AGENT_HOST = cfg.host;
        AGENT_RUNNER = "systemd";
        AGENT_KEEP_RELEASES = toString cfg.keepReleases;
        AGENT_MIN_SWITCH_SECONDS = toString cfg.minSwitchSeconds;
        AGENT_MAX_REBOOTS_PER_DAY = toString cfg.maxRebootsPerDay;
        # The daemon writes the store, so the agent needs no access.
        NIX_REMOTE = "daemon";
      }
      // lib.optionalAttrs (cfg.caFile != null) { AGENT_CA_FILE = "${cfg.caFile}"; }
      // lib.optionalAttrs (cfg.metricsPort != null) { METRICS_PORT = toString cfg.metricsPort; }
      // cfg.environment;
      # Without its agent, nobody could reach the host any more.
      unitConfig.StartLimitIntervalSec = 0;
      serviceConfig =
        hardening {
          # The control plane and the targets of checks may have any address.
          addresses = [ "any" ];
          # Root, for the system's profile and for systemd. The other capabilities let a check of type `command` read
          # files and run as another user.
          capabilities = [
            "CAP_DAC_OVERRIDE"
            "CAP_DAC_READ_SEARCH"
            "CAP_FOWNER"
            "CAP_CHOWN"
            "CAP_KILL"
            "CAP_SETUID"
            "CAP_SETGID"
          ];
          # Profiles and garbage collector roots.
          writable = [ "/nix/var/nix" ];
          # setuid() and similar calls for such checks, and the limits that a login sets.
          systemCalls = [
            "@setuid"
            "@chown"
            "@resources"
          ];
          # It recognizes its own switch scripts by their pids.
          otherProcesses = true;
        }
        // {
          Type = "notify";
          ExecStart = "${lib.getExe' cfg.package "slipway-agent"} run";
          LoadCredential = [ "AGENT_TOKEN:${cfg.tokenFile}" ];
          StateDirectory = "slipway-agent";
          StateDirectoryMode = "0700";
          Restart = "always";
          RestartSec = 1;
          RestartSteps = 5;
          RestartMaxDelaySec = 30;
          WatchdogSec = 60;
          TimeoutStopSec = 15;
          MemoryMax = "512M";
          TasksMax = 256;
          # When memory runs out, the agent can still bring the host back.
          OOMScoreAdjust = -500;
        };
    };

    assertions = [
      {
        assertion =
          builtins.match "https://.+" cfg.apiUrl != null
          || builtins.match "http://(localhost|127\\.[0-9.]+|\\[::1])(:[0-9]+)?(/.*)?" cfg.apiUrl != null;
        message = "services.slipway.agent.apiUrl is ${cfg.apiUrl}: the token would travel unencrypted; use https://, or http:// to this machine itself.";
      }
      {
        assertion = config.system.switch.enable;
        message = "services.slipway.agent needs bin/switch-to-configuration in the system, which system.switch.enable = false leaves out; set it to true.";
      }
    ];
  };
}
