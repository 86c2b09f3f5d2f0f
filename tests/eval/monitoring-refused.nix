# What cannot be meant of services.slipway.monitoring is refused, by a message that names the option and the cure.
{
  host,
  says,
  saysAmong,
  standIn,
  lib,
  ...
}:
let
  inherit (import ./monitoring-tools.nix { inherit host lib standIn; })
    at
    client
    monitoring
    watched
    ;
in
[
  (says "a receiver that tells nobody"
    [
      "${at}.receivers.mute tells nobody"
      "email, webhook or slack"
    ]
    [ (monitoring { receivers.mute = { }; }) ]
  )
  (says "a webhook without an endpoint"
    [
      "${at}.receivers.mute.webhook has no endpoint"
      "urlFile"
    ]
    [ (monitoring { receivers.mute.webhook = { }; }) ]
  )
  (says "a webhook with two endpoints"
    [ "${at}.receivers.ops.webhook has two endpoints" ]
    [ (monitoring { receivers.ops.webhook.urlFile = "/run/secrets/url"; }) ]
  )
  (says "a webhook with a password in the store"
    [
      "${at}.receivers.hook.webhook.url has a password"
      "urlFile"
    ]
    [ (monitoring { receivers.hook.webhook.url = "https://ann:geheim@example.com/"; }) ]
  )
  (says "a chat without an endpoint"
    [ "${at}.receivers.chat.slack has no endpoint" ]
    [ (monitoring { receivers.chat.slack = { }; }) ]
  )
  (says "e-mail without a server"
    [ "set ${at}.smtp.host" ]
    [ (monitoring { receivers.post.email = [ "ops@example.com" ]; }) ]
  )
  (says "a password without an account"
    [ "set ${at}.smtp.user" ]
    [ (monitoring { smtp.passwordFile = "/run/secrets/smtp"; }) ]
  )
  (says "an account without a password"
    [
      "${at}.smtp.user is set without a password"
      "set ${at}.smtp.passwordFile"
    ]
    [ (monitoring { smtp.user = "alerts"; }) ]
  )
  (says "e-mail from an address without a domain"
    [
      "${at}.smtp.from is alerts@host-1"
      "such as alerts@example.com"
    ]
    [ (monitoring { smtp.host = "smtp.example.com"; }) ]
  )
  (says "a receiver that nobody knows, by severity"
    [
      "${at}.severities.page names the receiver on-call"
      "take one of ops"
    ]
    [ (monitoring { severities.page = [ "on-call" ]; }) ]
  )
  (says "a receiver that nobody knows, in a route"
    [ "${at}.routes, number 1, names the receiver shop-team" ]
    [ (monitoring { routes = [ { receivers = [ "shop-team" ]; } ]; }) ]
  )
  (says "a receiver that nobody knows, for the dead-man's switch"
    [ "${at}.deadMansSwitch.receiver names the receiver snitch" ]
    [ (monitoring { deadMansSwitch.receiver = "snitch"; }) ]
  )
  (says "a route for a stack that is nowhere"
    [
      "${at}.routes, number 1, is for the stack shpo"
      "is shop meant?"
    ]
    [
      (monitoring (
        client
        // {
          hosts.app = watched "app-1" { };
          routes = [
            {
              stacks = [ "shpo" ];
              receivers = [ "ops" ];
            }
          ];
        }
      ))
    ]
  )
  (says "a route for a host that is not watched"
    [
      "${at}.routes, number 1, is for the host app-9"
      "there is host-1."
    ]
    [
      (monitoring {
        routes = [
          {
            hosts = [ "app-9" ];
            receivers = [ "ops" ];
          }
        ];
      })
    ]
  )
  (says "a route for an alert that is not there"
    [
      "${at}.routes, number 1, is for the alert BackupLat"
      "is BackupLate meant?"
    ]
    [
      (monitoring {
        routes = [
          {
            alerts = [ "BackupLat" ];
            receivers = [ "ops" ];
          }
        ];
      })
    ]
  )
  (says "a receiver that nobody knows, where there is none"
    [ "add it there." ]
    [
      {
        services.slipway.monitoring = {
          enable = true;
          severities.page = [ "ops" ];
        };
      }
    ]
  )
  (says "two hosts of one name"
    [
      "${at}.hosts has 2 hosts named app-1 (one, two)"
      "networking.hostName"
    ]
    [
      (monitoring (
        client
        // {
          hosts.one = watched "app-1" { };
          hosts.two = watched "app-1" { };
        }
      ))
    ]
  )
  (says "another machine without a way in"
    [
      "${at}.hosts has app-1, which is another machine"
      "services.slipway.telemetry.door.address"
    ]
    [
      (monitoring (
        client
        // {
          hosts.app = watched "app-1" {
            services.slipway.telemetry = {
              enable = true;
              door.address = lib.mkForce null;
            };
          };
        }
      ))
    ]
  )
  (says "a door that asks for a certificate which this host has not"
    [
      "app-1: the door for metrics asks for a certificate"
      "${at}.identity.key"
    ]
    [ (monitoring { hosts.app = watched "app-1" { }; }) ]
  )
  (says "a percentage that nothing has"
    [
      "${at}.rules.DiskAlmostFull.thresholds.freePercent is 150"
      "below 100"
    ]
    [ (monitoring { rules.DiskAlmostFull.thresholds.freePercent = 150; }) ]
  )
  (says "a time before now"
    [
      "${at}.rules.LongTransaction.thresholds.seconds is -60"
      "rules.LongTransaction.enable = false"
    ]
    [ (monitoring { rules.LongTransaction.thresholds.seconds = -60; }) ]
  )
  (says "one of our rules by a mistyped name"
    [
      "${at}.rules.RedisEvict is none of Slipway's rules"
      "severity, expr, summary, runbook"
      "is RedisEvicts meant?"
    ]
    [ (monitoring { rules.RedisEvict.enable = false; }) ]
  )
  (says "a threshold of a rule by a mistyped name"
    [ "is DiskAlmostFull meant?" ]
    [ (monitoring { rules.DiskAlmostFul.thresholds.freePercent = 10; }) ]
  )
  (says "a team's rule without an expression"
    [ "${at}.rules.ShopQueueLong is none of Slipway's rules, and one of your own needs expr." ]
    [
      (monitoring {
        rules.ShopQueueLong = {
          severity = "ticket";
          summary = "The queue is long.";
          runbook = "https://wiki.example.com/shop/queue";
        };
      })
    ]
  )
  (says "one name for two credentials"
    [ "both become the credential pager" ]
    [
      (monitoring {
        receivers.ops.secretFiles.pager = "/run/secrets/one";
        receivers.dev.secretFiles.pager = "/run/secrets/two";
        receivers.dev.webhook.url = "http://127.0.0.1/";
      })
    ]
  )
  (saysAmong "metrics for everybody"
    [
      "${at}.domain would show all metrics"
      "${at}.passwordFile"
    ]
    [ (monitoring { domain = "monitoring.example.com"; }) ]
  )
  (saysAmong "a domain that is an address"
    [
      "${at}.domain is https://monitoring.example.com"
      "without https://"
    ]
    [
      (monitoring {
        domain = "https://monitoring.example.com";
        passwordFile = "/run/secrets/passwords";
      })
    ]
  )
  (saysAmong "half a certificate"
    [ "${at}.tls.certificate and ${at}.tls.key belong together" ]
    [
      (monitoring {
        domain = "monitoring.example.com";
        passwordFile = "/run/secrets/passwords";
        tls.certificate = "/etc/certificate.pem";
      })
    ]
  )
]
