# services.slipway.agent: the program that fetches, activates, checks, and commits or takes back what the control plane
# says (docs/agent.md).
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
    ./agent-checks.nix
  ];

  options.services.slipway.agent = {
    enable = lib.mkEnableOption "the agent that deploys this host from a Slipway control plane";
    package = mkOption {
      type = types.package;
      default = config.services.slipway.packages.slipway-agent;
      defaultText = lib.literalMD "the flake's `slipway-agent`";
      example = lib.literalExpression "inputs.slipway.packages.\${system}.slipway-agent";
      description = ''
        The agent. It is in the system's path too: an attempt's dead-man runs the one of the system that it goes back to.
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
      description = "A PEM file with a root certificate to trust besides the system's; null: none.";
    };
    keepReleases = mkOption {
      type = types.ints.between 1 100;
      default = 3;
      example = 10;
      description = "Committed releases that stay protected from garbage collection, besides what runs and what would boot.";
    };
    metricsPort = mkOption {
      type = types.nullOr types.port;
      default = contract.ports.agentMetrics;
      example = null;
      description = "The port of the agent's metrics on 127.0.0.1; null: none.";
    };
    environment = mkOption {
      type = types.attrsOf types.str;
      default = { };
      example.LOG_LEVEL = "info,slipway_host=debug";
      description = "More of the agent's settings (docs/settings.md). Nothing secret.";
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
      # An activation goes on in a unit of its own, and the agent that follows finds it in the journal. So the new
      # generation's agent is the one that has to reach the control plane before the generation is committed: one that
      # cannot is taken back by the dead-man. Restarted, not stopped before: a switch that dies leaves an agent behind.
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
        # The daemon writes the store; the agent need not.
        NIX_REMOTE = "daemon";
      }
      // lib.optionalAttrs (cfg.caFile != null) { AGENT_CA_FILE = "${cfg.caFile}"; }
      // lib.optionalAttrs (cfg.metricsPort != null) { METRICS_PORT = toString cfg.metricsPort; }
      // cfg.environment;
      # A host whose agent gave up could not be reached any more.
      unitConfig.StartLimitIntervalSec = 0;
      serviceConfig =
        hardening {
          # The control plane may be anywhere, and so may what a check asks.
          addresses = [ "any" ];
          # Root, for the system's profile and for systemd. The others let a check of type `command` read what it looks
          # at and run as another user.
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
          # setuid() and its like for such checks, and the limits that a login sets.
          systemCalls = [
            "@setuid"
            "@chown"
            "@resources"
          ];
          # It tells its own switch scripts from strangers by their pids.
          otherProcesses = true;
        }
        // {
          Type = "notify";
          ExecStart = "${lib.getExe' cfg.package "slipway-agent"} run";
          LoadCredential = "AGENT_TOKEN:${cfg.tokenFile}";
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
          # When memory runs out, this is what gets the host out of it.
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
