# Alertmanager's configuration as data: who is told of which alert, and which alert silences which. The names of the alerts
# and their labels are those of nix/monitoring/rules. Only builtins.
let
  inherit (builtins)
    attrNames
    concatStringsSep
    filter
    head
    length
    map
    ;
  inherit (import ../lib/lists.nix) optional;
  seconds = number: "${toString number}s";
  equals = label: value: "${label}=\"${value}\"";
  # One of several names, which have nothing that a regular expression reads otherwise. None means all.
  among = label: values: optional (values != [ ]) "${label}=~\"${concatStringsSep "|" values}\"";

  # A route to several receivers is a route with one child each.
  to =
    receivers: route:
    route
    // {
      receiver = head receivers;
    }
    // (
      if length receivers > 1 then
        {
          routes = map (receiver: {
            inherit receiver;
            continue = true;
          }) receivers;
        }
      else
        { }
    );

  # Who gets alerts that nobody has to see.
  nobody = "nobody";

  # An alert of the source silences the targets that have the same values of `equal`.
  inhibit = source: target: equal: {
    source_matchers = source;
    target_matchers = target;
    inherit equal;
  };
  # Nobody needs a ticket for what somebody is woken for.
  covered =
    let
      budget = labels: page: ticket: {
        inherit page ticket;
        equal = [ "stack" ] ++ labels ++ [ "route" ];
      };
    in
    [
      {
        page = "DiskAlmostFull";
        ticket = "DiskFillsUp";
        equal = [
          "host"
          "mountpoint"
        ];
      }
      {
        page = "MemoryPressure";
        ticket = "MemoryLow";
        equal = [ "host" ];
      }
      {
        page = "CertificateAlmostExpired";
        ticket = "CertificateExpires";
        equal = [
          "host"
          "domain"
        ];
      }
      (budget [ "service" ] "ErrorsBurnFast" "ErrorsBurnSlowly")
      (budget [ "service" ] "LatencyBurnsFast" "LatencyBurnsSlowly")
      (budget [ "domain" ] "SiteErrorsBurnFast" "SiteErrorsBurnSlowly")
      (budget [ "domain" ] "SiteLatencyBurnsFast" "SiteLatencyBurnsSlowly")
    ];
in
{
  inherit covered nobody;

  # Unless somebody wants other times.
  grouping = {
    labels = [
      "alertname"
      "stack"
    ];
    waitSeconds = 10;
    intervalSeconds = 120;
    repeatSeconds = 14400;
  };

  # What people read: notifications.tmpl.
  email = to: {
    inherit to;
    headers.subject = "{{ template \"slipway.title\" . }}";
    html = "";
    text = "{{ template \"slipway.text\" . }}";
  };
  slack = {
    title = "{{ template \"slipway.title\" . }}";
    text = "{{ template \"slipway.text\" . }}";
  };

  configuration =
    {
      # As Alertmanager has them.
      receivers,
      global ? { },
      templates ? [ ],
      # Severity -> names of receivers.
      severities,
      # { stacks, hosts, alerts, severities, receivers, continue }, in order.
      routes ? [ ],
      # { labels, waitSeconds, intervalSeconds, repeatSeconds }
      grouping,
      # { receiver, intervalSeconds }; its receiver may be null.
      deadMansSwitch,
    }:
    {
      inherit global templates;
      receivers = receivers ++ [ { name = nobody; } ];

      route = {
        receiver = nobody;
        group_by = grouping.labels;
        group_wait = seconds grouping.waitSeconds;
        group_interval = seconds grouping.intervalSeconds;
        repeat_interval = seconds grouping.repeatSeconds;
        routes =
          optional (deadMansSwitch.receiver != null) {
            matchers = [ (equals "alertname" "DeadMansSwitch") ];
            inherit (deadMansSwitch) receiver;
            group_wait = "0s";
            # Told at every second look: at equal times the look would come a moment too early.
            group_interval = seconds (deadMansSwitch.intervalSeconds / 2);
            repeat_interval = seconds (deadMansSwitch.intervalSeconds * 3 / 4);
          }
          ++ [
            {
              # They only silence others.
              matchers = [ (equals "severity" "info") ];
              receiver = nobody;
            }
          ]
          ++ map (
            route:
            to route.receivers {
              matchers =
                among "stack" route.stacks
                ++ among "host" route.hosts
                ++ among "severity" route.severities
                ++ among "alertname" route.alerts;
              inherit (route) continue;
            }
          ) routes
          ++ map (severity: to severities.${severity} { matchers = [ (equals "severity" severity) ]; }) (
            filter (severity: severities.${severity} != [ ]) (attrNames severities)
          );
      };

      inhibit_rules = [
        # A host that is down explains all that is wrong on it.
        (inhibit [ (equals "alertname" "HostDown") ] [ "alertname!=\"HostDown\"" ] [ "host" ])
        # A rollout explains what rules say of it, as long as it has the host out.
        (inhibit [ (equals "alertname" "RolloutOnHost") ] [ (equals "rollout" "explains") ] [ "host" ])
      ]
      ++ map (
        {
          page,
          ticket,
          equal,
        }:
        inhibit
          [ (equals "alertname" page) (equals "severity" "page") ]
          [ (equals "alertname" ticket) (equals "severity" "ticket") ]
          equal
      ) covered;
    };
}
