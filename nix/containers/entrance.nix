# How requests reach a stack in a cluster: a Gateway of its own, one that is there (gateway.networking.k8s.io), or an
# Ingress.
{
  lib,
  name,
  named,
  domains,
  gateway,
  ingress,
  # The Service and port that requests of a domain's route go to.
  target,
}:
let
  contract = import ../contract.nix;
  inherit (import ../lib/headers.nix { inherit lib; }) headersOf;
  inherit (contract) ports times;
  namesOf = domain: [ domain ] ++ domains.${domain}.aliases;
  allNames = lib.concatMap namesOf (lib.attrNames domains);
  secretName = "${name}-tls";
  greatest = lib.foldl' lib.max 0;
  # The largest of a number of all domains, or of all routes that have it.
  most = value: greatest (map value (lib.attrValues domains));
  mostOfRoutes =
    value:
    greatest (
      lib.filter (number: number != null) (
        map value (lib.concatMap (domain: lib.attrValues domain.routes) (lib.attrValues domains))
      )
    );

  # Seconds that a request may wait: what the host's proxy does between two bytes holds for the whole request here.
  waits =
    domain: route:
    if route.stream then
      0
    else if route.readSeconds != null then
      route.readSeconds
    else
      lib.max domain.timeouts.readSeconds domain.timeouts.longPollSeconds;

  ofGateway = kind: named kind "gateway.networking.k8s.io/v1";
  parents =
    section:
    if gateway ? parent then
      [ gateway.parent ]
    else
      [
        {
          inherit name;
          sectionName = section;
        }
      ];
  own = [
    (ofGateway "Gateway" name {
      spec = {
        gatewayClassName = gateway.class;
        listeners = [
          {
            name = "http";
            protocol = "HTTP";
            port = ports.http;
          }
          {
            name = "https";
            protocol = "HTTPS";
            port = ports.https;
            tls = {
              mode = "Terminate";
              certificateRefs = [ { name = secretName; } ];
            };
          }
        ];
      };
    })
    (ofGateway "HTTPRoute" "${name}-to-https" {
      spec = {
        parentRefs = parents "http";
        hostnames = allNames;
        rules = [
          {
            filters = [
              {
                type = "RequestRedirect";
                requestRedirect = {
                  scheme = "https";
                  statusCode = 301;
                };
              }
            ];
          }
        ];
      };
    })
  ];

  rule = domain: path: route: {
    matches = [
      {
        path = {
          type = if route.exact then "Exact" else "PathPrefix";
          value = path;
        };
      }
    ];
    backendRefs = [ (target domain route) ];
    # nginx sets them itself; the same twice does no harm.
    filters = [
      {
        type = "ResponseHeaderModifier";
        responseHeaderModifier.set = lib.mapAttrsToList (name: value: {
          inherit name value;
        }) (headersOf domains.${domain});
      }
    ];
    timeouts.request = "${toString (waits domains.${domain} route)}s";
  };
  # One holds at most 16 rules. The longest path counts among all of them.
  httpRoutes =
    domain: asked:
    let
      rules = lib.mapAttrsToList (rule domain) asked.routes;
      size = 16;
    in
    lib.genList (
      n:
      ofGateway "HTTPRoute"
        "${name}-${lib.replaceStrings [ "." ] [ "-" ] domain}${
          lib.optionalString (n > 0) "-${toString (n + 1)}"
        }"
        {
          spec = {
            parentRefs = parents "https";
            hostnames = namesOf domain;
            rules = lib.sublist (n * size) size rules;
          };
        }
    ) ((lib.length rules + size - 1) / size);

  annotations =
    if ingress ? annotations then
      ingress.annotations
    else
      # Of ingress-nginx.
      lib.mapAttrs' (key: lib.nameValuePair "nginx.ingress.kubernetes.io/${key}") (
        lib.mapAttrs (_: toString) {
          proxy-body-size = "${
            toString (lib.max (most (domain: domain.limits.bodyMiB)) (mostOfRoutes (route: route.bodyMiB)))
          }m";
          proxy-connect-timeout = times.connectSeconds;
          proxy-read-timeout = lib.max (most (
            domain: greatest (map (waits domain) (lib.attrValues domain.routes))
          )) (mostOfRoutes (route: if route.stream then times.streamSeconds else null));
          # By address; agents behind one NAT share theirs.
          limit-rps = most (domain: domain.limits.longPoll.perSecond);
          limit-burst-multiplier =
            most (domain: domain.limits.longPoll.burst) / most (domain: domain.limits.longPoll.perSecond);
          limit-connections = most (domain: domain.limits.connectionsPerAddress);
          # A replica whose connection breaks; a 503 is an answer.
          proxy-next-upstream = "error timeout";
          ssl-redirect = "true";
        }
      );
in
if domains == { } then
  [ ]
else if ingress != null then
  [
    (named "Ingress" "networking.k8s.io/v1" name {
      metadata = { inherit annotations; };
      spec = {
        ingressClassName = ingress.class;
        tls = [
          {
            hosts = allNames;
            inherit secretName;
          }
        ];
        rules = lib.concatMap (
          domain:
          map (host: {
            inherit host;
            http.paths = lib.mapAttrsToList (path: route: {
              inherit path;
              pathType = if route.exact then "Exact" else "Prefix";
              backend.service = {
                inherit (target domain route) name;
                port.number = (target domain route).port;
              };
            }) domains.${domain}.routes;
          }) (namesOf domain)
        ) (lib.attrNames domains);
      };
    })
  ]
else
  lib.optionals (!(gateway ? parent)) own ++ lib.concatLists (lib.mapAttrsToList httpRoutes domains)
