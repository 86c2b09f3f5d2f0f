# What Prometheus asks of a host, as data: one scrape configuration for its targets, and one for its probes. The labels
# of a series come from here, so that rules and dashboards can rely on them (docs/observability.md). Only builtins.
let
  inherit (builtins)
    attrNames
    concatStringsSep
    filter
    listToAttrs
    map
    removeAttrs
    replaceStrings
    ;
  inherit (import ../lib/lists.nix) optional;
  labelsOf = labels: removeAttrs labels (filter (name: labels.${name} == null) (attrNames labels));
  parameters =
    given:
    listToAttrs (
      map (name: {
        name = "__param_${name}";
        value = given.${name};
      }) (attrNames given)
    );

  timesOf = intervalSeconds: {
    scrape_interval = "${toString intervalSeconds}s";
    scrape_timeout = "${toString (if intervalSeconds < 10 then intervalSeconds else 10)}s";
  };
  # Of one target.
  ownTimes =
    intervalSeconds:
    if intervalSeconds == null then
      { }
    else
      let
        times = timesOf intervalSeconds;
      in
      {
        __scrape_interval__ = times.scrape_interval;
        __scrape_timeout__ = times.scrape_timeout;
      };

  # A target that answers garbage or without end fails its scrape, and costs no more than this.
  limits =
    { intervalSeconds, samplesPerTarget, ... }:
    timesOf intervalSeconds
    // {
      sample_limit = samplesPerTarget;
      # Twice what long labels take. It bounds the memory as well: before 3.4, Prometheus remembers series that it refuses.
      body_size_limit = "${toString (samplesPerTarget * 512)}B";
      label_limit = 64;
      label_value_length_limit = 4096;
    };

  # What a control plane's workers say of rollouts, messages and other hosts. Alerts on it speak for those hosts, and keep back
  # others.
  ofFleet = concatStringsSep "|" [
    "slipway_rollouts"
    "slipway_rollout_.+"
    "slipway_host_(last_seen_timestamp_seconds|stuck|drift|drift_kind|out)"
    "slipway_fleet_.+"
    "slipway_audit_.+"
    "slipway_deliver(y|ies)_.+"
  ];
  # No program chooses what an alert itself says, such as whether a rollout explains it. And of two series that differ in such
  # a label only, Prometheus would make one alert: it refuses the whole rule then, for all hosts.
  relabelled =
    targets:
    let
      nameOf = target: "${target.job};${if target.unit == null then "" else target.unit}";
      strangers = filter (target: !(target.fleet or true)) targets;
      others = concatStringsSep "|" (
        map (target: replaceStrings [ "." ] [ "[.]" ] (nameOf target)) strangers
      );
    in
    [
      {
        action = "labelmap";
        regex = "(alertname|severity)";
        replacement = "exported_$1";
      }
      {
        action = "labeldrop";
        regex = "alertname|severity";
      }
    ]
    ++ optional (strangers != [ ]) {
      action = "replace";
      source_labels = [
        "job"
        "unit"
      ];
      regex = others;
      target_label = "rollout";
      replacement = "";
    }
    ++ optional (strangers != [ ]) {
      action = "drop";
      source_labels = [
        "job"
        "unit"
        "__name__"
      ];
      regex = "(${others});(${ofFleet})";
    };
in
{
  # Unless somebody wants others.
  defaults = {
    intervalSeconds = 15;
    samplesPerTarget = 20000;
  };

  # A target with `fleet = false` is not believed what a worker of the control plane says; those of modules/ say it.
  # `door` is the host's server for metrics, { target, tls, name }; null: the targets are on this machine. Prometheus checks
  # one name of a certificate in a scrape configuration, so each host has its own.
  targets =
    {
      host,
      targets,
      door ? null,
      # { authority, certificate, key }: paths, with which this machine shows itself to the door.
      client ? null,
      ...
    }@arguments:
    limits arguments
    // {
      job_name = host;
      metric_relabel_configs = relabelled targets;
      static_configs = map (target: {
        targets = [ (if door == null then target.address else door.target) ];
        labels =
          target.labels
          // labelsOf {
            inherit host;
            inherit (target) job unit;
            instance = "${host}/${if target.unit == null then target.job else target.unit}";
            __metrics_path__ = if door == null then target.path else target.doorPath;
          }
          // ownTimes (target.intervalSeconds or null)
          # The door adds them itself.
          // (if door == null then parameters target.params else { });
      }) targets;
    }
    // (
      if door != null && door.tls then
        {
          scheme = "https";
          tls_config = {
            ca_file = "${client.authority}";
            cert_file = "${client.certificate}";
            key_file = client.key;
            server_name = door.name;
          };
        }
      else
        { }
    );

  # Each probe is a request through the blackbox exporter at `exporter`.
  probes =
    {
      host,
      probes,
      exporter,
      ...
    }@arguments:
    limits arguments
    // {
      # No host's name has a slash.
      job_name = "${host}/probes";
      metrics_path = "/probe";
      static_configs = map (
        probe:
        let
          address = probe.address or null;
          # The exporter takes the name for the certificate and for the request.
          at =
            if address == null then
              { target = probe.url; }
            else
              {
                target = replaceStrings [ "://${probe.domain}" ] [ "://${address}" ] probe.url;
                hostname = probe.domain;
              };
        in
        {
          targets = [ exporter ];
          labels = {
            inherit host;
            inherit (probe) stack domain;
            url = probe.url + (if address == null then "" else " at ${address}");
            job = "blackbox";
            instance = "${host}/${probe.domain}";
          }
          // parameters (at // { module = probe.kind; });
        }
      ) probes;
    };
}
