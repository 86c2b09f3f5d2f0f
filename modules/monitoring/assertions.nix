# Contradictions in the options of the monitoring, each with its cure.
{ config, lib, ... }:
let
  cfg = config.services.slipway.monitoring;
  at = what: "services.slipway.monitoring.${what}";
  list = lib.concatStringsSep ", ";
  texts = import ../../nix/stack/texts.nix { inherit lib; };
  ours = lib.attrNames (import ../../nix/monitoring).rules.all;
  # { a = [ … ]; } of what comes more than once.
  several = lib.filterAttrs (_: who: lib.length who > 1);

  # Two attributes of the flake that make the same host would be asked twice, under one name.
  hosts = lib.mapAttrsToList (name: who: {
    assertion = false;
    message = "${at "hosts"} has ${toString (lib.length who)} hosts named ${name} (${
      list (map (host: host.attribute) who)
    }): give each its own networking.hostName, or leave one out.";
  }) (several (lib.groupBy (host: host.name) cfg.hostNames));

  # The way to each host.
  remote = lib.filter (host: host.door != null) cfg.watched;
  ways =
    lib.concatMap (
      { name, door, ... }:
      [
        {
          assertion = door.address != null;
          message = "${at "hosts"} has ${name}, which is another machine and has no way in: set services.slipway.telemetry.door.address there, or services.slipway.telemetry.enable = false.";
        }
      ]
    ) remote
    ++ (
      let
        encrypted = map (host: host.name) (lib.filter (host: host.door.tls) remote);
        complete =
          cfg.identity.authority != null && cfg.identity.certificate != null && cfg.identity.key != null;
      in
      [
        {
          assertion = encrypted == [ ] || complete;
          message = "${list encrypted}: the door for metrics asks for a certificate: set ${at "identity.authority"}, ${at "identity.certificate"} and ${at "identity.key"}.";
        }
      ]
    );

  ofReceiver =
    name: asked:
    let
      option = what: at "receivers.${name}.${what}";
      ways =
        map (_: "an e-mail") asked.email
        ++ lib.optional (asked.webhook != null) "webhook"
        ++ lib.optional (asked.slack != null) "slack"
        ++ lib.attrNames asked.settings;
      reserved = "nobody";
    in
    [
      {
        assertion = name != reserved;
        message = "${at "receivers.${name}"} has the name of the receiver that tells nobody: give it another one.";
      }
      {
        assertion = builtins.match "[A-Za-z0-9_-]+" name != null;
        message = "${at "receivers.\"${name}\""}: the name becomes part of files, so it has letters, digits, hyphens and underscores only.";
      }
      {
        assertion = ways != [ ];
        message = "${at "receivers.${name}"} tells nobody: set its email, webhook or slack.";
      }
      {
        assertion = asked.webhook == null || (asked.webhook.url == null) != (asked.webhook.urlFile == null);
        message =
          if asked.webhook.url or null == null then
            "${option "webhook"} has no endpoint: set its url, or urlFile if the address is secret."
          else
            "${option "webhook"} has two endpoints: set url or urlFile, and not both.";
      }
      {
        assertion = builtins.match "https?://[^/]*@.*" (toString (asked.webhook.url or "")) == null;
        message = "${option "webhook.url"} has a password in it, and the Nix store shows it to everybody: put the address into a file and name that with urlFile.";
      }
      {
        assertion = asked.slack == null || asked.slack.urlFile != null;
        message = "${option "slack"} has no endpoint: put the address that the chat gave you into a file, and set its urlFile.";
      }
      {
        assertion = asked.email == [ ] || cfg.smtp.host != null;
        message = "${option "email"} needs a server that takes e-mail: set ${at "smtp.host"}.";
      }
    ];

  used =
    lib.mapAttrsToList (severity: receivers: {
      option = at "severities.${severity}";
      inherit receivers;
    }) cfg.severities
    ++ lib.imap1 (number: route: {
      option = "${at "routes"}, number ${toString number},";
      inherit (route) receivers;
    }) cfg.routes
    ++ [
      {
        option = at "deadMansSwitch.receiver";
        receivers = lib.optional (cfg.deadMansSwitch.receiver != null) cfg.deadMansSwitch.receiver;
      }
    ];
  unknown = lib.concatMap (
    { option, receivers }:
    map (name: {
      assertion = false;
      message = "${option} names the receiver ${name}, which is not in ${at "receivers"}: add it there${
        lib.optionalString (cfg.receivers != { }) ", or take one of ${list (lib.attrNames cfg.receivers)}"
      }.";
    }) (lib.filter (name: !cfg.receivers ? ${name}) (lib.unique receivers))
  ) used;

  # A typing error would send the alerts of a stack to the wrong team.
  hostNames = map (host: host.name) cfg.watched;
  stacks = lib.unique (
    lib.concatMap (
      host:
      map (target: target.labels.stack) (lib.filter (target: target.labels ? stack) host.targets)
      ++ map (probe: probe.stack) host.probes
    ) cfg.watched
    ++ lib.attrNames (config.services.slipway.stacks or { })
  );
  elsewhere =
    config.services.prometheus.rules != [ ]
    || lib.length config.services.prometheus.ruleFiles > lib.length cfg.ruleFiles;
  strangers = lib.concatLists (
    lib.imap1 (
      number: route:
      map (name: {
        assertion = false;
        message = "${at "routes"}, number ${toString number}, is for the stack ${name}, which no watched host has; ${texts.instead name stacks}";
      }) (lib.subtractLists stacks route.stacks)
      ++ map (name: {
        assertion = false;
        message = "${at "routes"}, number ${toString number}, is for the host ${name}, which is not watched; ${texts.instead name hostNames}";
      }) (lib.subtractLists hostNames route.hosts)
      # Rules that are given to Prometheus itself are not known here.
      ++ map (name: {
        assertion = elsewhere;
        message = "${at "routes"}, number ${toString number}, is for the alert ${name}, which is not in ${at "rules"}; ${texts.instead name (lib.attrNames cfg.rules)}";
      }) (lib.subtractLists (lib.attrNames cfg.rules) route.alerts)
    ) cfg.routes
  );

  # Numbers with which a rule never fires, or always.
  thresholds = lib.concatLists (
    lib.mapAttrsToList (
      name: rule:
      lib.mapAttrsToList (
        key: value:
        let
          option = at "rules.${name}.thresholds.${key}";
          percent = lib.hasSuffix "Percent" key;
        in
        {
          assertion = lib.isString value || value > 0 && (percent -> value < 100);
          message =
            if percent then
              "${option} is ${toString value}: give a percentage above 0 and below 100, or set ${at "rules.${name}.enable"} = false."
            else
              "${option} is ${toString value}: give a number above 0, or set ${at "rules.${name}.enable"} = false.";
        }
      ) rule.thresholds
    ) (lib.filterAttrs (_: rule: rule.enable) cfg.rules)
  );

  # Mostly the name of one of ours, mistyped.
  rules = lib.mapAttrsToList (name: rule: {
    assertion = rule.missing == [ ];
    message = "${at "rules.${name}"} is none of Slipway's rules, and one of your own needs ${list rule.missing}${
      if texts.close name ours == [ ] then "." else "; ${texts.instead name ours}"
    }";
  }) cfg.rules;

  # Credentials of one unit share their names.
  credentials = lib.mapAttrsToList (name: who: {
    assertion = false;
    message = "${
      list (map (one: one.option) who)
    } both become the credential ${name}: give one of them another name.";
  }) (several (lib.groupBy (one: one.name) cfg.credentials));

  site = [
    {
      assertion = cfg.domain == null || texts.isDomain cfg.domain;
      message = "${at "domain"} is ${toString cfg.domain}: give a name in lower case, without https:// and without a path, such as monitoring.example.com.";
    }
    {
      assertion = cfg.domain == null || cfg.passwordFile != null;
      message = "${at "domain"} would show all metrics to everybody: set ${at "passwordFile"}.";
    }
    {
      assertion = (cfg.tls.certificate == null) == (cfg.tls.key == null);
      message = "${at "tls.certificate"} and ${at "tls.key"} belong together: set both, or neither for ACME.";
    }
    {
      assertion = cfg.smtp.passwordFile == null || cfg.smtp.user != null;
      message = "${at "smtp.passwordFile"} is set without an account: set ${at "smtp.user"}.";
    }
    {
      assertion = cfg.smtp.user == null || cfg.smtp.passwordFile != null;
      message = "${at "smtp.user"} is set without a password: set ${at "smtp.passwordFile"}, or leave the account out where the server asks for none.";
    }
    {
      assertion =
        cfg.smtp.host == null
        || builtins.match "[^@ ]+@[^@ ]+[.][^@ ]+|.*<[^@ ]+@[^@ ]+[.][^@ ]+>" cfg.smtp.from != null;
      message = "${at "smtp.from"} is ${cfg.smtp.from}, and mail servers refuse an address without a domain: set it to one that the server lets this account use, such as alerts@example.com.";
    }
  ];
in
{
  config = lib.mkIf cfg.enable {
    assertions =
      hosts
      ++ ways
      ++ lib.concatLists (lib.mapAttrsToList ofReceiver cfg.receivers)
      ++ unknown
      ++ strangers
      ++ rules
      ++ thresholds
      ++ credentials
      ++ site;
    warnings = lib.optional (
      cfg.severities.page == [ ]
    ) "${at "severities.page"} is empty, so no alert wakes anybody: name a receiver.";
  };
}
