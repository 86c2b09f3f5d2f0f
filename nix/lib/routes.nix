# What nginx is told of one domain's routes, as text: the same for a host, compose and Kubernetes (docs/decisions/0077).
#
#   routes { lib, contract }
#     http                 lines beside the servers, once for each nginx
#     server domain        lines of the domain's server, before its locations: what no route may let through
#     locations { … }      location -> lines
{ lib, contract }:
let
  nginx = import ./nginx.nix { inherit contract; };
  static = import ./static.nix { inherit lib nginx; };
  inherit (import ./paths.nix { inherit lib; }) closedOf routeOf within;
  inherit (nginx) lines seconds;
  inherit (lib) optional optionals;

  # A text inside a regular expression.
  literal = lib.escape [
    "."
    "+"
    "*"
    "?"
    "("
    ")"
    "|"
  ];
  # A path with all below it.
  all = path: "${literal (lib.removeSuffix "/" path)}(?:[/;]|$)";
  # The same as services may read it: those of Java take a `;` away with what follows it, in every part of the path.
  spelled =
    path: lib.replaceStrings [ "/" ] [ "(?:/?;[^/;]*)*/" ] (literal (lib.removeSuffix "/" path));
  allSpelled = path: "${spelled path}(?:[/;]|$)";
  onlySpelled = path: "${spelled path}/?(?:;|$)";
  anyOf = parts: "(?:${lib.concatStringsSep "|" parts})";

  # Longer routes below a closed one are open.
  closedRoute =
    routes: path:
    let
      open = lib.filter (other: other != path && within path other && !routes.${other}.closed) (
        lib.attrNames routes
      );
    in
    lib.optionalString (open != [ ])
      "(?!${anyOf (map (other: if routes.${other}.exact then "${literal other}$" else all other) open)})"
    + (if routes.${path}.exact then onlySpelled path else allSpelled path);

  isOpen = domain: path: !lib.any (above: within above path) domain.closedPaths;
in
{
  # An upgrade to anything but WebSockets, such as h2c, would lead past all that is closed.
  http = lines [
    "map $http_upgrade $slipway_upgrade {"
    "    \"~*^websocket$\" websocket;"
    "    default \"\";"
    "}"
    "map $slipway_upgrade $slipway_connection {"
    "    websocket upgrade;"
    "    default \"\";"
    "}"
  ];

  server =
    domain:
    let
      shut =
        map allSpelled (closedOf domain)
        ++ map (closedRoute domain.routes) (
          lib.filter (path: path != "/" && domain.routes.${path}.closed) (lib.attrNames domain.routes)
        );
    in
    [
      "# For the access log: the route that answers."
      "set $slipway_route \"\";"
      "# Services see the path as it was sent, nginx what it comes to; one with dots in it could be two different ones."
      "merge_slashes on;"
      "if ($request_uri ~* \"^[^?]*(?:[/\\x5c]|%2f|%5c)(?:\\.|%2e){1,2}(?:[/\\x5c;?]|%2f|%5c|%3b|$)\") { return 400; }"
    ]
    ++ optionals (shut != [ ]) [
      "# Before any location is chosen, and in any case: some services take /Metrics for /metrics."
      "if ($uri ~* \"^${anyOf shut}\") { return 404; }"
    ];

  locations =
    {
      domain,
      # The stack's services.
      services,
      # service -> address of its upstream, such as http://api; and of the one that is asked whether it is ready.
      upstream,
      readyUpstream ? upstream,
      # Arguments of nginx.passing.
      passing,
      # kind -> lines: "requests", "monitoring" and "longPoll".
      limit,
      # What takes a replica out for a moment.
      broken,
      # `add_header` lines of every answer.
      headers,
      # static -> the folder of its files.
      folder ? static: "${static}",
      # Whether what is behind takes the prefix off.
      strips ? false,
    }:
    let
      inherit (domain) routes;

      # A route's locations: the path and all below it.
      both =
        path: route: text:
        if path == "/" && !route.exact then
          { "/" = text; }
        else
          { "= ${path}" = text; } // lib.optionalAttrs (!route.exact) { "^~ ${path}/" = text; };

      toService =
        path: route:
        let
          strip = route.stripPrefix && path != "/" && !strips;
          wait = if route.readSeconds == null then contract.times.streamSeconds else route.readSeconds;
        in
        both path route (
          lines (
            [
              "proxy_pass ${upstream route.service}${lib.optionalString strip "/"};"
              (limit "requests")
            ]
            ++ optional (route.stream || strip) (
              nginx.passing (
                passing
                // {
                  inherit (route) stream;
                  prefix = lib.optionalString strip path;
                }
              )
            )
            ++ optionals route.stream [
              "proxy_buffering off;"
              "proxy_send_timeout ${seconds wait};"
            ]
            ++ optional (route.stream || route.readSeconds != null) "proxy_read_timeout ${seconds wait};"
            ++ optional (route.bodyMiB != null) "client_max_body_size ${toString route.bodyMiB}m;"
          )
        );

      # Of the path as it was sent: a decoded one could hold the end of a header's line.
      redirect =
        path: route:
        let
          target = lib.optionalString (lib.hasPrefix "/" route.redirect) "https://$host" + route.redirect;
          grows = builtins.match "[^?#]*" target != null;
          plain = "return ${toString route.redirectStatus} ${target}${lib.optionalString grows "$is_args$args"};";
          rest = "if ($request_uri ~ \"^${literal (lib.removeSuffix "/" path)}/([^?]*)\") { return ${toString route.redirectStatus} ${target}$1$is_args$args; }";
        in
        both path route (lines (optional (grows && lib.hasSuffix "/" target) rest ++ [ plain ]));

      ofRoute =
        path: route:
        if route.service != null then
          toService path route
        else if route.static != null then
          static.locations {
            inherit path route headers;
            folder = folder route.static;
          }
        else if route.redirect != null then
          redirect path route
        else
          both path route "return 404;";

      # The access log and its metrics name the route, of which there are few, and not the path.
      logged =
        path: text:
        lines [
          "set $slipway_route ${path};"
          text
        ];

      # The service that answers a path, unless the path changes on the way.
      serviceOf =
        path:
        let
          found = routeOf routes path;
        in
        if found == null || routes.${found}.stripPrefix || !isOpen domain path then
          null
        else
          routes.${found}.service;
      isApi = service: service != null && (services.${service}.preset or null) == "api";
      # Paths of the contract with a location of their own.
      monitored = isApi (serviceOf contract.paths.health);
      awaited = lib.filter (
        path: if path == contract.paths.sync then isApi (serviceOf path) else serviceOf path != null
      ) domain.longPollPaths;
      # A route at the very path that says how long its requests may wait.
      saysItself =
        path: routes ? ${path} && (routes.${path}.stream || routes.${path}.readSeconds != null);
    in
    {
      "/" = "return 404;";
    }
    // lib.optionalAttrs (isApi (serviceOf contract.paths.ready)) {
      "= ${contract.paths.ready}" = logged contract.paths.ready (lines [
        (nginx.ready {
          upstream = readyUpstream (serviceOf contract.paths.ready);
          inherit broken;
        })
        (limit "monitoring")
      ]);
    }
    // lib.optionalAttrs monitored {
      "^~ ${contract.paths.monitoring}" = logged contract.paths.monitoring (lines [
        "proxy_pass ${upstream (serviceOf contract.paths.health)};"
        (limit "monitoring")
      ]);
    }
    // lib.mergeAttrsList (
      lib.mapAttrsToList (path: route: lib.mapAttrs (_: logged path) (ofRoute path route)) routes
    )
    # After the routes: one at the very path would take the place.
    // lib.listToAttrs (
      map (
        path:
        let
          inherit (routes.${routeOf routes path}) bodyMiB;
        in
        lib.nameValuePair "= ${path}" (
          logged path (
            lines (
              [
                "proxy_pass ${upstream (serviceOf path)};"
                (limit "longPoll")
                "proxy_read_timeout ${seconds domain.timeouts.longPollSeconds};"
                "# It says what is and asks what to do: sending it twice is safe."
                "proxy_next_upstream ${broken} non_idempotent;"
              ]
              ++ optional (bodyMiB != null) "client_max_body_size ${toString bodyMiB}m;"
            )
          )
        )
      ) (lib.filter (path: !saysItself path) awaited)
    );
}
