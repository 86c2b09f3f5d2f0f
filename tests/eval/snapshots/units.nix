# The units of one stack with everything, as the modules make them: text by the name of the unit. Of a service that is
# NixOS' own only what the modules add, as a file of its drop-in folder.
{
  host,
  stack,
  lib,
  normalise,
}:
let
  full =
    (host [
      # NixOS has it since 25.11, and the same units are to come out of the releases before.
      { systemd.targets.postgresql = { }; }
      (stack {
        services.api.replicas = 2;
        services.worker.replicas = 1;
        secrets.SECRET_KEY = "/run/secrets/key";
        proxy = {
          domain = "shop.example.com";
          tls = {
            certificate = "/etc/fleet/shop.pem";
            key = "/run/secrets/shop-key";
          };
        };
        backup.offsite = {
          repository = "s3:https://s3.example.com/backup-shop";
          passwordFile = "/run/secrets/restic";
        };
      })
      {
        services.slipway.agent = {
          enable = true;
          apiUrl = "https://deploy.example.com";
          tokenFile = "/run/secrets/agent-token";
        };
        services.slipway.telemetry.door = {
          address = "10.1.0.11";
          clients = [ "10.1.0.30" ];
          certificate = "/etc/fleet/app-1.pem";
          key = "/run/secrets/app-1-key";
          authority = "/etc/fleet/authority.pem";
        };
      }
    ]).systemd;
  # A host whose Redis is on another one.
  remote =
    (host [
      (stack {
        proxy.enable = false;
        cache = {
          enable = false;
          passwordFile = "/run/secrets/redis";
          remote = {
            address = "10.1.0.20";
            name = "db.internal";
            certificate = "/etc/fleet/app-1.pem";
            key = "/run/secrets/app-1-key";
            authority = "/etc/fleet/authority.pem";
          };
        };
      })
    ]).systemd;

  ours = lib.filterAttrs (
    name: _: builtins.match "(shop|slipway)[-.].*|redis-shop-password.*" name != null
  );
  # Where programs, languages and time zones are, and what tells a switch that a file changed, is NixOS' own.
  foreign =
    line:
    builtins.match "Environment=\"(PATH|LOCALE_ARCHIVE|TZDIR)=.*|X-Re[a-z]+-Triggers=.*" line != null;
  text =
    unit:
    let
      lines = map (lib.trimWith { end = true; }) (
        lib.filter (line: !foreign line) (lib.splitString "\n" unit.text)
      );
      # NixOS leaves blank lines where there is nothing to say.
      blank = lib.imap0 (n: line: line == "" && (n == 0 || lib.elemAt lines (n - 1) == "")) lines;
      kept = lib.concatMap ({ fst, snd }: lib.optional (!snd) fst) (lib.zipLists lines blank);
    in
    normalise (lib.removeSuffix "\n" (lib.concatStringsSep "\n" kept) + "\n");

  # `keys` of a section, as a file of its own; a list is a line for each.
  section =
    name: keys: values:
    [ "[${name}]" ]
    ++ lib.concatMap (
      key:
      map (value: "${key}=${if lib.isBool value then lib.boolToString value else toString value}") (
        lib.toList values.${key}
      )
    ) keys;
  dropIn = sections: normalise (lib.concatLines (lib.concatLists sections));
  inherit (full) services;
in
lib.mapAttrs (_: text) (ours full.units)
// {
  "shop-cache-tunnel.service" = text remote.units."shop-cache-tunnel.service";
  "redis-shop.service.d/slipway.conf" = dropIn [
    (section "Unit" [ "StartLimitIntervalSec" ] services.redis-shop.unitConfig)
    (section "Service"
      [
        "Restart"
        "RestartSec"
        "RestartSteps"
        "RestartMaxDelaySec"
        "IPAddressDeny"
        "ProtectProc"
        "ProcSubset"
        "RemoveIPC"
        "DevicePolicy"
        "KeyringMode"
        "MemoryMax"
        "ExecStartPre"
      ]
      (
        services.redis-shop.serviceConfig
        // {
          ExecStartPre = lib.head (lib.toList services.redis-shop.serviceConfig.ExecStartPre);
        }
      )
    )
  ];
  "postgresql.service.d/slipway.conf" = dropIn [
    (section "Unit" [ "StartLimitIntervalSec" ] services.postgresql.unitConfig)
    (section "Service" [
      "Restart"
      "RestartSec"
      "ExecStopPost"
      "OOMScoreAdjust"
    ] services.postgresql.serviceConfig)
  ];
}
