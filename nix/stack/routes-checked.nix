# What cannot be meant of domains and routes, with its cure.
{ config, lib, ... }:
let
  contract = import ../contract.nix;
  inherit (import ../lib/paths.nix { inherit lib; }) closedOf routeOf within;
  inherit (import ./texts.nix { inherit lib; }) instead isDomain;
  inherit (config) proxy services;

  # What makes a domain's name of what is none.
  cureOf =
    name:
    if lib.hasInfix "://" name then
      "leave out ${lib.head (lib.splitString "://" name)}://, and what comes after the name"
    else
      "write it with lower-case letters, digits and hyphens, and single dots between, without a port";
  # As nginx has it once a request's path is decoded, so that what is written here can be met.
  isPath =
    path:
    builtins.match "/([A-Za-z0-9._~!@+=,/-]*)" path != null
    && !lib.hasInfix "//" path
    && !lib.any (part: part == "." || part == "..") (lib.splitString "/" path);
  target = builtins.match "((https?)://([a-z0-9.-]+)(:[0-9]+)?)?(/[^][:space:][\"'$;{}<>\\`|]*)?";

  ofRoute =
    name: domain: path: route:
    let
      at = "domains.\"${name}\".routes.\"${path}\"";
      kinds = lib.filter (set: set) [
        (route.service != null)
        (route.static != null)
        (route.redirect != null)
        route.closed
      ];
      service = services.${toString route.service} or null;
      outside = lib.filter (part: !isPath part) (
        lib.optional (route.fallback != null) route.fallback ++ route.immutablePaths
      );
      shut = lib.filter (above: within above path) (closedOf domain);
      parts = target (toString route.redirect);
      # `//host` is another host, without a scheme.
      isTarget =
        parts != null
        && route.redirect != ""
        && !lib.hasPrefix "//" route.redirect
        && (lib.elemAt parts 2 == null || isDomain (lib.elemAt parts 2));
      # Where it leads on this very domain; null elsewhere.
      onward =
        if
          lib.elem (lib.elemAt parts 2) (
            [
              null
              name
            ]
            ++ domain.aliases
          )
        then
          lib.head (builtins.match "([^?#]*).*" (if lib.last parts == null then "/" else lib.last parts))
        else
          null;
    in
    [
      {
        assertion = isPath path;
        message = "${at}: write the path as it is once decoded: a / first, then letters, digits and ._~!@+=,- with single / between.";
      }
      {
        assertion = path == "/" || route.exact || !lib.hasSuffix "/" path;
        message = "${at}: ${lib.removeSuffix "/" path} already means all below it; leave the / at the end out.";
      }
      {
        assertion = lib.length kinds == 1;
        message = "${at} must lead to one thing: set one of service, static, redirect and closed.";
      }
      {
        assertion = route.service == null || service != null;
        message = "${at}.service is ${toString route.service}, which is no service of the stack; ${instead (toString route.service) (lib.attrNames services)}";
      }
      {
        assertion = service == null || service.listen.type != "none";
        message = "${at}.service is ${toString route.service}, which listens nowhere: set services.${toString route.service}.listen.";
      }
      {
        assertion =
          route.service != null
          || !(route.stripPrefix || route.stream || route.readSeconds != null || route.bodyMiB != null);
        message = "${at}: stripPrefix, stream, readSeconds and bodyMiB are for services; set service, or leave them out.";
      }
      {
        assertion = route.static != null || (route.fallback == null && route.immutablePaths == [ ]);
        message = "${at}: fallback and immutablePaths are for static files; set static, or leave them out.";
      }
      {
        assertion = outside == [ ];
        message = "${at}.fallback and immutablePaths take paths in the folder of ${at}.static, without `.`, `..` and `//`, and not ${toString outside}: correct them.";
      }
      {
        assertion = route.static == null || !route.exact;
        message = "${at}: static files are below a path, and exact leaves only the path itself; leave exact out.";
      }
      {
        assertion =
          route.static == null
          || builtins.isPath route.static
          || lib.hasPrefix "${builtins.storeDir}/" "${route.static}";
        message = "${at}.static is ${toString route.static}, which is not in the Nix store: give a package or a folder of your flake; files that change while the host runs are a service's to serve.";
      }
      {
        assertion = route.redirect == null || isTarget;
        message = "${at}.redirect is ${toString route.redirect}: give an address such as https://shop.example.org/ or a path of this domain, without spaces and quotes.";
      }
      {
        assertion =
          route.redirect == null || !isTarget || onward == null || routeOf domain.routes onward != path;
        message = "${at}.redirect leads to itself: give another address, or a route of its own to ${toString onward}.";
      }
      {
        assertion = shut == [ ] || route.closed;
        message = "${at} is below ${toString shut} of closedPaths, so it would never answer: take one of them out, or shorten domains.\"${name}\".closedPaths.";
      }
    ];

  ofDomain =
    name: domain:
    let
      option = "domains.\"${name}\"";
      names = [ name ] ++ domain.aliases;
      wrong = lib.filter (alias: !isDomain (lib.removePrefix "*." alias)) domain.aliases;
      relative = lib.filter (path: !isPath path) (domain.closedPaths ++ domain.longPollPaths);
      isHeader =
        header:
        builtins.match "[A-Za-z0-9_-]+" header != null
        && builtins.match ".*[[:cntrl:]].*" (toString domain.headers.${header}) == null;
      badHeaders = lib.filter (header: !isHeader header) (lib.attrNames domain.headers);
      # A client would get both.
      sameHeaders = lib.filter (spellings: lib.length spellings > 1) (
        lib.attrValues (lib.groupBy lib.toLower (lib.attrNames domain.headers))
      );
      # The api's own health, where it is reached.
      answering = domain.routes.${toString (routeOf domain.routes contract.paths.health)} or { };
      shut = lib.filter (path: within path contract.paths.health) domain.closedPaths;
      isApi = (services.${toString (answering.service or null)}.preset or null) == "api";
    in
    [
      {
        assertion = isDomain name;
        message = "${option} is not a domain name: ${cureOf name}.";
      }
      {
        assertion = wrong == [ ];
        message = "${option}.aliases has ${lib.concatStringsSep ", " wrong}, which is not a domain name: ${cureOf (lib.head wrong)}; `*.` may be first.";
      }
      {
        assertion = lib.allUnique names;
        message = "${option}.aliases has a name twice, or the domain itself: name each once.";
      }
      {
        assertion = domain.routes != { };
        message = "${option} has no routes: set ${option}.routes.\"/\"${
          lib.optionalString (
            proxy.domain == name
          ) " (proxy.domain alone is for stacks that have a service with the preset api)"
        }, or leave the domain out.";
      }
      {
        assertion = badHeaders == [ ];
        message = "${option}.headers or proxy.headers has ${
          lib.concatMapStringsSep ", " builtins.toJSON badHeaders
        }: a name has letters, digits and `-`, and a value is one line.";
      }
      {
        assertion = sameHeaders == [ ];
        message = "${option}.headers or proxy.headers has ${
          lib.concatMapStringsSep "; " (lib.concatStringsSep " and ") sameHeaders
        }, which are one header: write it in one way.";
      }
      {
        assertion = relative == [ ];
        message = "${option}: closedPaths and longPollPaths take paths that begin with /, not ${lib.concatStringsSep ", " relative}: write them as routes are written.";
      }
      {
        assertion = !isApi || shut == [ ];
        message = "${option}: closedPaths closes the health path ${contract.paths.health} with ${lib.concatStringsSep ", " shut}: give a longer path, or monitoring and roll-outs cannot see the stack.";
      }
      {
        assertion =
          !lib.elem contract.paths.sync domain.longPollPaths
          || domain.timeouts.longPollSeconds > contract.times.longPollSeconds;
        message = "${option}: timeouts.longPollSeconds must be above the ${toString contract.times.longPollSeconds} s of an agent's sync, or nginx cuts every one: leave it at ${toString contract.times.proxyReadSeconds}.";
      }
    ]
    ++ lib.concatLists (lib.mapAttrsToList (ofRoute name domain) domain.routes);

  # Each name with the domains that have it.
  claims = lib.groupBy (one: one.value) (
    lib.concatLists (
      lib.mapAttrsToList (
        domain: asked: map (value: { inherit domain value; }) (lib.unique ([ domain ] ++ asked.aliases))
      ) config.domains
    )
  );
in
{
  config.assertions =
    lib.concatLists (lib.mapAttrsToList ofDomain config.domains)
    ++ lib.mapAttrsToList (value: who: {
      assertion = lib.length who == 1;
      message = "domains: ${value} is a name of ${
        lib.concatMapStringsSep " and of " (one: one.domain) who
      }; give each name to one domain.";
    }) claims;
}
