# /etc/slipway/stacks/<name>.json: what `slipway verify` checks on this host (docs/cli.md has the form).
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  stacks = lib.filterAttrs (_: stack: stack.enable) config.services.slipway.stacks;
  namesOf = import ./names.nix { inherit lib; };
  inherit (config.networking) firewall nftables;

  facts =
    name: stack:
    let
      names = namesOf name stack;
      inherit (stack) proxy;
      services = lib.mapAttrsToList lib.nameValuePair stack.services;
      # Of the shape that the first version knows.
      isApi = one: one.value.preset == "api" && one.value.listen.type == "socket";
      isWorker = one: one.value.preset == "worker" && one.value.listen.type == "none";
      apis = lib.filter isApi services;
      workers = lib.filter isWorker services;
      replicas = lib.concatMap (one: names.replicas one.name);
      # Of those that have a port for it.
      metrics = lib.concatMap (
        { name, value }:
        map (unit: "http://${stack.metrics.addresses."${unit}.service"}${value.metrics.path}") (
          lib.filter (unit: stack.metrics.addresses ? "${unit}.service") (names.replicas name)
        )
      );
      # Others say by health.ready, or else by health.live, which path answers.
      otherServices = map (
        one:
        let
          inherit (one.value) addresses health;
          paths = lib.filter (path: path != null) [
            (health.ready.http or null)
            (health.live.http or null)
          ];
        in
        {
          inherit (one) name;
          inherit addresses;
          path = if paths == [ ] then null else lib.head paths;
          metrics = metrics [ one ];
        }
      ) (lib.filter (one: !isApi one && !isWorker one) services);
      jobs = lib.attrNames (lib.filterAttrs (_: job: job.schedule != null) stack.jobs);
      # An api behind the proxy answers at the stack's domain as the contract says; of other domains only certificates can be
      # checked.
      url = if proxy.ping then "https://${proxy.mainDomain}" else null;
      domains = map (domain: "https://${domain}") (
        lib.filter (domain: !proxy.ping || domain != proxy.mainDomain) (lib.attrNames proxy.served)
      );
      # Earlier programs know the first version alone.
      secondVersion = lib.optionalAttrs (otherServices != [ ] || jobs != [ ] || domains != [ ]) {
        version = 2;
        inherit domains;
        services = otherServices;
        jobs = {
          names = jobs;
          metricsFile = names.jobMetrics;
        };
      };
    in
    {
      version = 1;
      inherit name;
      inherit (stack) controlPlane;
      domain = if proxy.ping then proxy.mainDomain else null;
      inherit url;
      api = {
        sockets = map names.socket (replicas apis);
        metrics = metrics apis;
      };
      worker.metrics = metrics workers;
      backup =
        if stack.backup.enable or false then
          { statusUrl = "http://127.0.0.1:${toString config.services.slipway.backup.exporter.port}/status"; }
        else
          null;
      units =
        stack.units
        ++ map (job: "${job}.service") names.startJobs
        ++ [ "${names.roll}.service" ]
        ++ stack.requires
        ++ lib.optional (proxy.served != { }) "nginx.service"
        ++ lib.optional firewall.enable (
          if nftables.enable then "nftables.service" else "firewall.service"
        );
    }
    // secondVersion;
in
{
  options.services.slipway.stacks = mkOption {
    type = types.attrsOf (
      types.submodule {
        options.controlPlane = mkOption {
          type = types.bool;
          default = false;
          internal = true;
          description = "Whether this is Slipway's own stack: only that one has hosts and an audit log to verify.";
        };
      }
    );
  };
  config.environment = lib.mkIf (stacks != { }) {
    etc = lib.mapAttrs' (
      name: stack:
      lib.nameValuePair "slipway/stacks/${name}.json" { text = builtins.toJSON (facts name stack); }
    ) stacks;
    systemPackages = [ config.services.slipway.packages.slipway ];
  };
}
