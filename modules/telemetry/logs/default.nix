# services.slipway.telemetry.logs: the journal and the access logs of this host, sent to one place. Fluent Bit carries them,
# as a unit of its own beside one that the host may have for other things (decision 93).
{
  config,
  lib,
  pkgs,
  ...
}:
let
  hardening = import ../../../nix/lib/hardening.nix;
  yaml = import ../../../nix/lib/yaml.nix;
  pipeline = import ./pipeline.nix { inherit lib; };
  destinationOf = import ./destination.nix { inherit lib; };
  cfg = config.services.slipway.telemetry.logs;
  stacks = lib.filterAttrs (_: stack: stack.enable) (config.services.slipway.stacks or { });
  accessLogs = lib.any (stack: stack.proxy.served != { } && stack.proxy.accessLog.enable) (
    lib.attrValues stacks
  );
  inherit (config.services) nginx;
  name = "slipway-logs";
  stateDirectory = "/var/lib/${name}";

  destinations =
    lib.optional (cfg.endpoint != null) (destinationOf {
      name = "store";
      option = "services.slipway.telemetry.logs";
      asked = cfg;
      unit = name;
      timeKey = "_time";
      settings.index = "slipway-logs";
    })
    ++ lib.optional (cfg.elasticsearch.endpoint != null) (destinationOf {
      name = "elasticsearch";
      option = "services.slipway.telemetry.logs.elasticsearch";
      asked = cfg.elasticsearch;
      unit = name;
      timeKey = "@timestamp";
      settings =
        if cfg.elasticsearch.dateSuffix == null then
          {
            inherit (cfg.elasticsearch) index;
            write_operation = "create";
          }
        else
          {
            logstash_format = "on";
            logstash_prefix = cfg.elasticsearch.index;
            logstash_dateformat = cfg.elasticsearch.dateSuffix;
            # The id comes from the line, so one that is sent again replaces itself. `create` would be refused, for ever.
            write_operation = "index";
            generate_id = "on";
          };
    });
  credentials = lib.mergeAttrsList (map (destination: destination.credentials) destinations);
  files = lib.attrValues credentials;

  script = pkgs.writeText "${name}.lua" ''
    -- Nothing here is compiled while it runs: the unit has no memory that is both written and executed.
    if jit then jit.off() end
    local given = ${
      lib.generators.toLua { } {
        host = config.networking.hostName;
        own = "${name}.service";
        units = import ./units.nix { inherit lib; } stacks;
        jobs = {
          "postgresql.service" = "postgres";
          "nginx.service" = "nginx";
          "slipway-agent.service" = "agent";
          "prometheus.service" = "prometheus";
          "alertmanager.service" = "alertmanager";
          "grafana.service" = "grafana";
          "victorialogs.service" = "logs";
          "${name}.service" = "logs";
        };
      }
    }
    ${builtins.readFile ./fields.lua}
  '';
  settings = pipeline {
    script = "${script}";
    inherit stateDirectory accessLogs batch;
    inherit (cfg) bufferMiB;
    metrics = cfg.metricsPort;
    destinations = map (destination: destination.output) destinations;
  };
  env = lib.mergeAttrsList (map (destination: destination.env) destinations);
  written = more: pkgs.writeText "${name}.yaml" (yaml.document (settings // more));
  # Fluent Bit reads it whole at build, but for passwords, which are on the host.
  configuration =
    pkgs.runCommand "${name}-checked.yaml"
      {
        nativeBuildInputs = lib.optional (pkgs.stdenv.buildPlatform.canExecute pkgs.stdenv.hostPlatform) cfg.package;
      }
      ''
        if type -P fluent-bit >/dev/null; then
          fluent-bit --dry-run --config ${written { }}
        fi
        ln -s ${written (lib.optionalAttrs (env != { }) { inherit env; })} $out
      '';

  # Lines that the shipper takes from the journal at once.
  batch = 1000;
  rewind = import ../../../nix/lib/shell-application.nix { inherit pkgs; } {
    name = "${name}-rewind";
    runtimeInputs = [
      pkgs.coreutils
      pkgs.gnused
      pkgs.sqlite
      config.systemd.package
    ];
    text = builtins.readFile ./rewind.sh;
  };

  # Its group lets it read the access logs, and the keys of certificates as well: those are shut.
  shut = map (path: "-${path}") (
    [
      "/var/lib/acme"
      "/run/agenix"
      "/run/agenix.d"
      "/run/secrets"
      "/run/secrets.d"
      "/run/keys"
    ]
    ++ map (host: host.sslCertificateKey) (
      lib.filter (
        host:
        (host.onlySSL || host.addSSL || host.forceSSL)
        # An authority's are in its folder above.
        && !host.enableACME
        && host.useACMEHost == null
      ) (lib.attrValues nginx.virtualHosts)
    )
  );
in
{
  imports = [ ./options.nix ];

  options.services.slipway.telemetry.logs = {
    package = lib.mkPackageOption pkgs "fluent-bit" { example = "pkgs.fluent-bit"; };
    settings = lib.mkOption {
      type = lib.types.raw;
      internal = true;
      readOnly = true;
      default = settings;
      description = "What Fluent Bit is told, but for passwords.";
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = destinations != [ ];
        message = "services.slipway.telemetry.logs.enable is on and there is no place for the lines: set services.slipway.telemetry.logs.endpoint to the monitoring host's store, or services.slipway.telemetry.logs.elasticsearch.endpoint.";
      }
      {
        assertion =
          cfg.endpoint == null
          || lib.hasPrefix "http://" cfg.endpoint
          || cfg.certificate != null
          || cfg.user != null;
        message = "services.slipway.telemetry.logs.endpoint is ${toString cfg.endpoint}, whose door lets known hosts in only: set services.slipway.telemetry.logs.certificate and key, or user and passwordFile.";
      }
    ]
    ++ lib.concatMap (destination: destination.assertions) destinations;

    services.slipway.telemetry.targets = [
      {
        job = "logs";
        unit = name;
        address = "127.0.0.1:${toString cfg.metricsPort}";
      }
    ];

    systemd.services.${name} = {
      description = "Sends this host's logs to their store";
      wantedBy = [ "multi-user.target" ];
      after = [ "network.target" ];
      # systemd's message names the file that is missing.
      unitConfig = {
        StartLimitIntervalSec = 0;
        AssertPathExists = files;
      };
      serviceConfig =
        hardening {
          addresses =
            if lib.all (destination: destination.isLocal) destinations then
              [ "localhost" ]
            else if lib.all (destination: destination.isLocal || destination.isAddress) destinations then
              [ "localhost" ] ++ map (destination: destination.host) destinations
            else
              # The address behind a name may change.
              [ "any" ];
        }
        // {
          ExecStartPre = "${lib.getExe rewind} start ${toString batch}";
          ExecStopPost = "${lib.getExe rewind} stop";
          ExecStart = "${lib.getExe' cfg.package "fluent-bit"} --config ${configuration}";
          DynamicUser = true;
          User = name;
          SupplementaryGroups = [ "systemd-journal" ] ++ lib.optional accessLogs nginx.group;
          InaccessiblePaths = lib.optionals accessLogs shut;
          StateDirectory = name;
          StateDirectoryMode = "0700";
          LoadCredential = lib.mapAttrsToList (credential: file: "${credential}:${file}") credentials;
          Restart = "always";
          RestartSec = 1;
          RestartSteps = 5;
          RestartMaxDelaySec = 30;
          # During an outage it says the same once for each batch.
          LogRateLimitIntervalSec = 60;
          LogRateLimitBurst = 50;
          # It writes out what it has read.
          TimeoutStopSec = 20;
          MemoryMax = "256M";
          TasksMax = 32;
          # Programs come first.
          CPUWeight = 20;
          IOWeight = 20;
        };
    };
    # A renewed certificate, and a secret that comes late.
    systemd.paths."${name}-renew" = lib.mkIf (files != [ ]) {
      description = "Another key or password for the logs";
      wantedBy = [ "multi-user.target" ];
      pathConfig.PathChanged = files;
    };
    systemd.services."${name}-renew" = lib.mkIf (files != [ ]) {
      description = "New key or password for the logs";
      serviceConfig = hardening { capabilities = [ ]; } // {
        Type = "oneshot";
        ExecStart = "${config.systemd.package}/bin/systemctl restart ${name}.service";
      };
    };
  };
}
