# The timer that sends the head of the audit log elsewhere.
{
  host,
  says,
  lib,
  ...
}:
let
  anchor = options: {
    services.slipway.audit.anchor = lib.mkMerge [
      {
        enable = true;
        apiUrl = "https://deploy.example.com";
        tokenFile = "/run/secrets/audit-token";
      }
      options
    ];
  };
  webhook = {
    webhook.url = "https://anchors.example.org/slipway";
    webhook.secretFile = "/run/secrets/audit-webhook";
  };
  config = host [ (anchor webhook) ];
  unit = config.systemd.services.slipway-audit-anchor;
in
[
  {
    name = "secrets reach the sender as credentials and not on its command line";
    got = {
      credentials = unit.serviceConfig.LoadCredential;
      named = lib.hasInfix "/run/secrets" unit.serviceConfig.ExecStart;
      secret =
        lib.hasInfix "'%d/secret'" unit.serviceConfig.ExecStart
        || lib.hasInfix "%d/secret" unit.serviceConfig.ExecStart;
    };
    want = {
      credentials = [
        "token:/run/secrets/audit-token"
        "secret:/run/secrets/audit-webhook"
      ];
      named = false;
      secret = true;
    };
  }
  {
    name = "a log that was written anew is not tried again";
    got = unit.serviceConfig.RestartPreventExitStatus;
    want = "2 20";
  }
  {
    name = "a close schedule meets no limit of starts, and a receiver that is away is tried again";
    got = {
      inherit (unit.unitConfig) StartLimitIntervalSec;
      inherit (unit.serviceConfig) Restart;
    };
    want = {
      StartLimitIntervalSec = 0;
      Restart = "on-failure";
    };
  }
  {
    name = "the timer makes up for a time that was missed";
    got = {
      inherit (config.systemd.timers.slipway-audit-anchor.timerConfig) OnCalendar Persistent;
    };
    want = {
      OnCalendar = "hourly";
      Persistent = true;
    };
  }
  (says "a receiver needs the secret"
    [ "secretFile is not" ]
    [
      (anchor { webhook.url = "https://anchors.example.org/slipway"; })
    ]
  )
  (says "a head that stays here is refused" [ "proves little" ] [ (anchor { }) ])
]
