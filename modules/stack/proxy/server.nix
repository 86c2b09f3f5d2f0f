# What nginx is told for one stack, as text.
{ lib }:
let
  contract = import ../../../nix/contract.nix;
  nginx = import ../../../nix/lib/nginx.nix { inherit contract; };
  inherit (nginx) lines seconds;
  inherit (lib) optional optionals;
in
name: proxy:
let
  # Variables of nginx have no hyphen.
  variable = what: "\$slipway_${what}_${lib.replaceStrings [ "-" "." ] [ "_" "_" ] name}";
  zone = what: "slipway-${name}-${what}";
  upstream = "slipway-${name}";

  behind = proxy.trustedProxies != [ ];
  requestId = if behind then variable "request_id" else "$request_id";
  remote = lib.any (server: !lib.hasPrefix "unix:" server) proxy.upstream.servers;
  # What takes a replica out for a moment, and asks another one.
  broken = "error timeout" + lib.optionalString remote " http_502 http_504";
  at = name: "${if remote then "https" else "http"}://${name}";
  pass = "proxy_pass ${at upstream};";
  # Sockets are never taken out.
  readyUpstream = if remote then "${upstream}-ready" else upstream;
  ready = nginx.ready {
    upstream = at readyUpstream;
    inherit broken;
  };
  quote = text: "\"${lib.escape [ "\\" "\"" ] text}\"";

  limit = kind: what: "limit_req zone=${zone kind} burst=${toString what.burst} nodelay;";
  rateZone =
    kind: what:
    "limit_req_zone ${variable "client"} zone=${zone kind}:10m rate=${toString what.perSecond}r/s;";

  headers =
    lib.filterAttrs (_: value: value != null) proxy.headers
    // {
      Strict-Transport-Security =
        "max-age=${toString proxy.tls.hsts.maxAgeSeconds}"
        + lib.optionalString proxy.tls.hsts.includeSubDomains "; includeSubDomains";
    }
    // lib.optionalAttrs proxy.http3 { Alt-Svc = "h3=\":443\"; ma=86400"; };

  # A location with a header of its own has none of the server's, so it repeats them.
  headerLines = lib.mapAttrsToList (
    header: value: "add_header ${header} ${quote value} always;"
  ) headers;

  believeProxies = [
    "# What a proxy before this one says of the client and the request."
  ]
  ++ map (address: "set_real_ip_from ${address};") proxy.trustedProxies
  ++ [ "real_ip_header X-Real-IP;" ];

  upstreamTls = [
    "proxy_ssl_verify on;"
    "proxy_ssl_verify_depth 2;"
    "proxy_ssl_server_name on;"
    "proxy_ssl_name ${proxy.upstream.tls.name};"
    "proxy_ssl_trusted_certificate ${proxy.upstream.tls.authority};"
    "proxy_ssl_protocols TLSv1.2 TLSv1.3;"
  ]
  ++ optionals (proxy.upstream.tls.certificate != null) [
    "proxy_ssl_certificate ${proxy.upstream.tls.certificate};"
    "proxy_ssl_certificate_key ${proxy.upstream.tls.key};"
  ];

  # A path and all below it. No regular expression: nginx would look at that after `^~` locations, and not at all when
  # one of them matches.
  closed =
    path:
    let
      folder = lib.removeSuffix "/" path;
    in
    {
      "= ${folder}".return = "404";
      "^~ ${folder}/".return = "404";
    };
  isClosed =
    path:
    lib.any (
      above: path == above || lib.hasPrefix (lib.removeSuffix "/" above + "/") path
    ) proxy.closedPaths;
in
{
  # Beside the servers: where the api is, who counts as one client, how much one gets.
  http = lines (
    [
      (nginx.upstream {
        name = upstream;
        inherit (proxy.upstream) servers;
        # A closed socket refuses at once, which costs less than being without any replica for a second.
        failures = if remote then "max_fails=1 fail_timeout=1s" else "max_fails=0";
      })
    ]
    ++ optional remote (
      nginx.upstream {
        name = readyUpstream;
        inherit (proxy.upstream) servers;
        failures = "max_fails=0";
      }
    )
    ++ [
      "# An IPv6 client counts by its /64, which is what one of them gets."
      (nginx.client (variable "client"))
      (rateZone "requests" proxy.limits.requests)
      (rateZone "monitoring" proxy.limits.monitoring)
      (rateZone "long-poll" proxy.limits.longPoll)
      "limit_conn_zone ${variable "client"} zone=${zone "connections"}:10m;"
    ]
    ++ optionals behind (
      [ "geo $realip_remote_addr ${variable "trusted"} {" ]
      ++ map (address: "    ${address} 1;") proxy.trustedProxies
      ++ [
        "    default 0;"
        "}"
        "map ${variable "trusted"}:$http_x_request_id ${requestId} {"
        "    \"~^1:([0-9a-f]{32})$\" $1;"
        "    default $request_id;"
        "}"
      ]
    )
    ++ optional proxy.accessLog.enable (
      nginx.logFormat {
        name = "slipway-${name}";
        inherit requestId;
      }
    )
  );

  # In the server itself. `listenQuic` are its listeners for HTTP/3.
  server =
    { listenQuic }:
    lines (
      listenQuic
      ++ [
        nginx.tls
        "ssl_ciphers ${nginx.ciphers};"
      ]
      ++ optionals (proxy.tls.clientAuthority != null) [
        "ssl_client_certificate ${proxy.tls.clientAuthority};"
        "ssl_verify_client on;"
      ]
      ++ optionals behind believeProxies
      ++ headerLines
      ++ map (header: "proxy_hide_header ${header};") (lib.attrNames headers)
      ++ [
        "# Above the api's own limit, whose refusal says more."
        "client_max_body_size ${toString proxy.limits.bodyMiB}m;"
        "limit_req_status 429;"
        "limit_conn_status 429;"
        "# The access log has them."
        "limit_req_log_level info;"
        "limit_conn_log_level info;"
        "limit_conn ${zone "connections"} ${toString proxy.limits.connectionsPerAddress};"
        (nginx.passing {
          host = "$host";
          inherit requestId;
        })
      ]
      ++ optionals remote upstreamTls
      ++ [
        "proxy_read_timeout ${seconds proxy.timeouts.readSeconds};"
        "# A request whose connection breaks is asked of another replica, unless it was sent and is a POST or PATCH:"
        "# those may have been carried out. Answers, also 503, are the client's to judge."
      ]
      ++ optional remote "# 502 and 504 are another proxy's word that its host has no replica that answers."
      ++ [
        "proxy_next_upstream ${broken};"
        "proxy_next_upstream_tries 3;"
        "proxy_next_upstream_timeout 10s;"
        "error_page 413 @slipway-413;"
        "error_page 429 @slipway-429;"
        "error_page 502 @slipway-502;"
        "error_page 504 @slipway-504;"
      ]
      ++ optional proxy.accessLog.enable "access_log /var/log/nginx/stacks/${name}.json slipway-${name} buffer=64k flush=1s;"
      ++ optional (proxy.extraConfig != "") proxy.extraConfig
    );

  locations =
    lib.listToAttrs (
      map (
        path:
        lib.nameValuePair "= ${path}" {
          extraConfig = lines [
            pass
            (limit "long-poll" proxy.limits.longPoll)
            "proxy_read_timeout ${seconds proxy.timeouts.longPollSeconds};"
            "# It says what is and asks what to do: sending it twice is safe."
            "proxy_next_upstream ${broken} non_idempotent;"
          ];
        }
      ) (lib.filter (path: !isClosed path) proxy.longPollPaths)
    )
    // lib.optionalAttrs (!isClosed contract.paths.ready) {
      "= ${contract.paths.ready}".extraConfig = lines [
        ready
        (limit "monitoring" proxy.limits.monitoring)
      ];
    }
    // {
      "^~ ${contract.paths.monitoring}".extraConfig = lines [
        pass
        (limit "monitoring" proxy.limits.monitoring)
      ];
      "/".extraConfig = lines [
        pass
        (limit "requests" proxy.limits.requests)
      ];
      "@slipway-413".extraConfig = nginx.problem {
        status = 413;
        title = "Content Too Large";
        detail = "a request may have at most ${toString proxy.limits.bodyMiB} MiB";
      };
      "@slipway-429".extraConfig = nginx.problem {
        status = 429;
        title = "Too Many Requests";
        detail = "your address has sent too many requests; wait a second, then send fewer";
        headers = headerLines ++ [ "add_header Retry-After 1 always;" ];
      };
      "@slipway-502".extraConfig = nginx.problem {
        status = 502;
        title = "Bad Gateway";
        detail = "no replica of the service took the request; try again shortly";
      };
      "@slipway-504".extraConfig = nginx.problem {
        status = 504;
        title = "Gateway Timeout";
        detail = "the service did not answer in time";
      };
    }
    # Last, so that nothing above opens one again.
    // lib.mergeAttrsList (map closed proxy.closedPaths);

  ping = {
    "= ${contract.paths.ready}".extraConfig = lines (
      [
        ready
        (nginx.passing { host = proxy.domain; })
      ]
      ++ optionals remote upstreamTls
    );
    "^~ ${contract.paths.monitoring}".extraConfig = lines (
      [
        pass
        (nginx.passing { host = proxy.domain; })
        "proxy_next_upstream ${broken};"
      ]
      ++ optionals remote upstreamTls
    );
    "= /".return = "204";
    "/".return = "404";
  };
}
