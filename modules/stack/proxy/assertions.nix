# What cannot be meant of a host's proxy, with its cure. What the description finds by itself is in nix/stack.
{ config, lib, ... }:
let
  inherit (config.services) nginx;
  serverOf = import ./server.nix { inherit lib; };
  inherit (import ../../../nix/stack/texts.nix { inherit lib; }) isListener;
  stacks = lib.filterAttrs (
    _: stack: stack.enable && stack.proxy.enable
  ) config.services.slipway.stacks;

  isSocket = lib.hasPrefix "unix:";

  ofDomain =
    name: stack: domainName: domain:
    let
      option = what: "services.slipway.stacks.${name}.domains.\"${domainName}\".${what}";
      tls = domain.tls.inUse;
      own = domain.tls;
      sources = lib.filter (what: own.${what} != null) [
        "certificate"
        "useACMEHost"
        "dnsProvider"
      ];
      wild = lib.filter (lib.hasPrefix "*.") domain.aliases;
      idle = lib.filter (
        path:
        let
          inherit (domain.routes.${path}) service;
        in
        service != null
        && service != stack.front
        && (stack.services.${service}.listen.type or "none") != "none"
        && (stack.services.${service}.addresses or [ ]) == [ ]
        && !stack.proxy.upstream.remote
      ) (lib.attrNames domain.routes);
    in
    [
      {
        assertion = (own.certificate == null) == (own.key == null);
        message = "${option "tls.certificate"} and ${option "tls.key"} belong together: set both, or neither for those of the stack or ACME.";
      }
      {
        assertion = lib.length sources <= 1;
        message = "${
          lib.concatMapStringsSep " and " (what: option "tls.${what}") sources
        } each say where the certificate comes from: leave one.";
      }
      {
        assertion = wild == [ ] || !tls.isAcme || tls.dnsProvider != null;
        message = "${option "aliases"} has ${toString wild}, which an authority only certifies by DNS: set ${option "tls.dnsProvider"}, or name each host.";
      }
      {
        assertion = tls.useACMEHost == null || config.security.acme.certs ? ${toString tls.useACMEHost};
        message = "${option "tls.useACMEHost"} is ${toString tls.useACMEHost}, which is not in security.acme.certs: add it there, or correct the name.";
      }
      {
        assertion = idle == [ ];
        message = "${option "routes.\"${toString idle}\""} leads to a service without a replica on this host: raise its replicas, or set services.slipway.stacks.${name}.proxy.upstream.servers to other hosts.";
      }
    ];

  ofStack =
    name: stack:
    let
      inherit (stack) proxy;
      option = what: "services.slipway.stacks.${name}.proxy.${what}";
      inherit (proxy.upstream) remote;
      wrong = lib.filter (address: !isListener address) proxy.listenAddresses;
      leads = lib.any (
        domain:
        lib.any (route: route.service != null && route.service == stack.front) (
          lib.attrValues domain.routes
        )
      ) (lib.attrValues proxy.served);
    in
    [
      {
        assertion = stack.domains != { };
        message = "${option "enable"} is on without a name to serve: set ${option "domain"} or services.slipway.stacks.${name}.domains.";
      }
      {
        assertion = wrong == [ ];
        message = "${option "listenAddresses"} has ${toString wrong}, which is no address: give ones of this host such as 10.1.0.11, IPv6 in brackets.";
      }
      {
        assertion = (proxy.tls.certificate == null) == (proxy.tls.key == null);
        message = "${option "tls.certificate"} and ${option "tls.key"} belong together: set both, or neither for ACME.";
      }
      {
        assertion = !leads || proxy.upstream.servers != [ ];
        message = "The proxy of stack ${name} has nothing to pass requests to: give services.slipway.stacks.${name}.services.${toString stack.front}.replicas at least 1, or set ${option "upstream.servers"} to other hosts.";
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
    ]
    ++ lib.concatLists (lib.mapAttrsToList (ofDomain name stack) proxy.served);

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
      lib.mapAttrsToList (
        stack: s: map (value: { inherit stack value; }) (lib.unique (values s.proxy.served))
      ) stacks
    );
  namesOf =
    served: lib.concatLists (lib.mapAttrsToList (domain: asked: [ domain ] ++ asked.aliases) served);

  # nginx' servers that are not of stacks, beside which ours are.
  ours =
    lib.concatMap (stack: lib.attrNames stack.proxy.served) (lib.attrValues stacks)
    ++ map (name: "slipway-ping-${name}") (lib.attrNames stacks)
    ++ [ "slipway-unknown" ];
  foreign = removeAttrs nginx.virtualHosts ours;
  isDefault =
    server:
    server.default || lib.any (one: lib.elem "default_server" one.extraParameters) server.listen;
  defaults = lib.attrNames (lib.filterAttrs (_: isDefault) foreign);
  beside = lib.concatLists (
    lib.mapAttrsToList (
      name: stack:
      lib.concatMap (
        value:
        map
          (server: {
            assertion = false;
            message = "services.nginx.virtualHosts.\"${server}\" and services.slipway.stacks.${name}.domains both serve ${value}: leave it to one of them, or add locations to services.nginx.virtualHosts.\"${value}\".";
          })
          (
            lib.attrNames (
              lib.filterAttrs (
                server: asked:
                lib.elem value (
                  [ (if asked.serverName == null then server else asked.serverName) ] ++ asked.serverAliases
                )
              ) foreign
            )
          )
      ) (namesOf stack.proxy.served)
      ++ map (upstream: {
        assertion = false;
        message = "services.nginx.upstreams.\"${upstream}\" has the name of the upstream that services.slipway.stacks.${name} makes for its domains: rename it.";
      }) (lib.intersectLists (serverOf name stack).upstreams (lib.attrNames nginx.upstreams))
    ) stacks
  );
in
{
  assertions =
    lib.concatLists (lib.mapAttrsToList ofStack stacks)
    ++ unique (
      domain: who:
      "The name ${domain} is served by ${who}: give services.slipway.stacks.<name>.domains a name or alias only once."
    ) (entriesOf namesOf)
    ++ lib.optionals (stacks != { }) (
      beside
      ++ [
        {
          assertion = !config.services.slipway.proxy.refuseUnknownNames || defaults == [ ];
          message = "services.nginx.virtualHosts.\"${lib.concatStringsSep ", " defaults}\".default and services.slipway.proxy.refuseUnknownNames both want the names that nobody serves: set services.slipway.proxy.refuseUnknownNames = false, or take default away.";
        }
      ]
    );
}
