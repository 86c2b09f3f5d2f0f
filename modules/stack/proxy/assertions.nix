# What cannot be meant, with its cure.
{ config, lib, ... }:
let
  contract = import ../../../nix/contract.nix;
  stacks = lib.filterAttrs (
    _: stack: stack.enable && stack.proxy.enable
  ) config.services.slipway.stacks;

  isSocket = lib.hasPrefix "unix:";
  within = prefix: path: path == prefix || lib.hasPrefix (lib.removeSuffix "/" prefix + "/") path;

  ofStack =
    name: stack:
    let
      inherit (stack) proxy;
      option = what: "services.slipway.stacks.${name}.proxy.${what}";
      remote = lib.any (server: !isSocket server) proxy.upstream.servers;
      relative = lib.filter (path: !lib.hasPrefix "/" path) (proxy.closedPaths ++ proxy.longPollPaths);
      shadowed = lib.filter (path: within path contract.paths.health) proxy.closedPaths;
    in
    [
      {
        assertion = proxy.domain != null;
        message = "${option "enable"} is on without a name to serve: set ${option "domain"}.";
      }
      {
        assertion = (proxy.tls.certificate == null) == (proxy.tls.key == null);
        message = "${option "tls.certificate"} and ${option "tls.key"} belong together: set both, or neither for ACME.";
      }
      {
        assertion = proxy.upstream.servers != [ ];
        message = "The proxy of stack ${name} has nothing to pass requests to: give services.slipway.stacks.${name}.services.${
          if stack.front == null then "api" else stack.front
        }.replicas at least 1, or set ${option "upstream.servers"} to other hosts.";
      }
      {
        assertion = !remote || lib.all (server: !isSocket server) proxy.upstream.servers;
        message = "${option "upstream.servers"} has sockets and other hosts, but these are spoken to over TLS and those are not: give only one kind.";
      }
      {
        assertion = !remote || proxy.upstream.tls.authority != null;
        message = "${option "upstream.servers"} has other hosts, whose certificates must be verified: set ${option "upstream.tls.authority"}.";
      }
      {
        assertion = (proxy.upstream.tls.certificate == null) == (proxy.upstream.tls.key == null);
        message = "${option "upstream.tls.certificate"} and ${option "upstream.tls.key"} belong together: set both or neither.";
      }
      {
        assertion = relative == [ ];
        message = "${option "closedPaths"} and ${option "longPollPaths"} take paths that begin with /, not ${lib.concatStringsSep ", " relative}: put a / before them.";
      }
      {
        assertion = shadowed == [ ];
        message = "${option "closedPaths"} closes the health path ${contract.paths.health} with ${lib.concatStringsSep ", " shadowed}: give a longer path, or monitoring and roll-outs cannot see the stack.";
      }
      {
        assertion =
          !lib.elem contract.paths.sync proxy.longPollPaths
          || proxy.timeouts.longPollSeconds > contract.times.longPollSeconds;
        message = "${option "timeouts.longPollSeconds"} must be above the ${toString contract.times.longPollSeconds} s of an agent's sync, or nginx cuts every one: leave it at ${toString contract.times.proxyReadSeconds}.";
      }
    ];

  # [ { stack, value } ] -> an assertion for each value that two stacks want.
  unique =
    describe: entries:
    lib.mapAttrsToList (value: who: {
      assertion = lib.length who == 1;
      message = describe value (lib.concatMapStringsSep " and " (entry: entry.stack) who);
    }) (lib.groupBy (entry: entry.value) entries);
  entriesOf =
    values:
    lib.concatLists (
      lib.mapAttrsToList (stack: s: map (value: { inherit stack value; }) (values s.proxy)) stacks
    );
in
{
  assertions =
    lib.concatLists (lib.mapAttrsToList ofStack stacks)
    ++ unique (
      domain: who:
      "The name ${domain} is served by ${who}: give services.slipway.stacks.<name>.proxy.domain and aliases a name only once."
    ) (entriesOf (proxy: lib.optional (proxy.domain != null) proxy.domain ++ proxy.aliases));
}
