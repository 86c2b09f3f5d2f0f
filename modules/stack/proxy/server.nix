# What nginx is told for one stack and for each of its domains, as text.
{ lib }:
let
  contract = import ../../../nix/contract.nix;
  nginx = import ../../../nix/lib/nginx.nix { inherit contract; };
  routes = import ../../../nix/lib/routes.nix { inherit lib contract; };
  inherit (import ../../../nix/lib/headers.nix { inherit lib; }) headersOf headerLines;
  inherit (nginx) lines seconds;
  inherit (lib) optional optionals;
in
name: stack:
let
  inherit (stack) front proxy services;

  # Variables of nginx have no hyphen.
  variable = what: "\$slipway_${what}_${lib.replaceStrings [ "-" "." ] [ "_" "_" ] name}";

  isBehindProxy = proxy.trustedProxies != [ ];
  requestId = if isBehindProxy then variable "request_id" else "$request_id";
  inherit (proxy.upstream) remote;
  # What takes a replica out for a moment, and asks another one. Of other hosts also answers: 502 and 504 say that no
  # replica there answers, 503 that none takes requests.
  broken = "error timeout" + lib.optionalString remote " http_502 http_503 http_504";

  # Where a rolling restart's stand-in answers.
  standIn =
    service: lib.filter (address: address != null) [ (services.${toString service}.standIn or null) ];
  hasFront = proxy.upstream.servers != [ ];

  # Other hosts have all services behind one address. No stack has a dot in its name.
  upstreamOf =
    service: "slipway-${name}" + lib.optionalString (!remote && service != front) ".${service}";
  at = name: "${if remote then "https" else "http"}://${name}";
  upstream = service: at (upstreamOf service);
  # Whether nginx ended with an answer, or without one because all hosts are taken out: then it names the upstream last.
  asked = variable "asked";
  anyHost = "slipway-${name}-any";

  # Services that a domain leads to, besides the first api.
  otherServices = lib.filter (service: service != front && !remote) (
    lib.unique (
      lib.concatMap (
        domain:
        lib.filter (service: service != null) (lib.mapAttrsToList (_: route: route.service) domain.routes)
      ) (lib.attrValues proxy.served)
    )
  );
  # A domain that sets no rate of its own shares the stack's.
  kinds = [
    "requests"
    "monitoring"
    "longPoll"
  ];
  short = lib.genAttrs kinds lib.id // {
    longPoll = "long-poll";
  };
  isShared = kind: domain: domain.limits.${kind}.perSecond == proxy.limits.${kind}.perSecond;
  zoneOf =
    kind: domainName: domain:
    if isShared kind domain then
      "slipway-${name}-${short.${kind}}"
    else
      "slipway-${short.${kind}}@${domainName}";
  rateZone =
    zone: what:
    "limit_req_zone ${variable "client"} zone=${zone}:10m rate=${toString what.perSecond}r/s;";

  allHeadersOf =
    domain: headersOf domain // lib.optionalAttrs proxy.http3 { Alt-Svc = "h3=\":443\"; ma=86400"; };
  # A location with a header of its own has none of the server's, so it repeats them.
  headerLinesOf = domain: headerLines (allHeadersOf domain);

  believeProxies = [
    "# What a proxy before this one says of the client and the request."
  ]
  ++ map (address: "set_real_ip_from ${address};") proxy.trustedProxies
  ++ [ "real_ip_header X-Real-IP;" ];

  upstreamTls =
    domainName:
    [
      "proxy_ssl_verify on;"
      "proxy_ssl_verify_depth 2;"
      "proxy_ssl_server_name on;"
      "proxy_ssl_name ${if proxy.upstream.tls.name == null then domainName else proxy.upstream.tls.name};"
      "proxy_ssl_trusted_certificate ${proxy.upstream.tls.authority};"
      "proxy_ssl_protocols TLSv1.2 TLSv1.3;"
    ]
    ++ optionals (proxy.upstream.tls.certificate != null) [
      "proxy_ssl_certificate ${proxy.upstream.tls.certificate};"
      "proxy_ssl_certificate_key ${proxy.upstream.tls.key};"
    ];

  problemOf =
    status: more: nginx.problem (nginx.problems.${status} // { status = lib.toInt status; } // more);
  # What is said when nobody answered. A proxy before this one gets no answer: to nginx only a broken connection counts
  # against a host whatever the method, so that also one that gets nothing but POSTs is taken out.
  nobody =
    stream:
    if remote then
      lines (
        [
          (problemOf "502" { when = asked; })
          "proxy_pass ${at anyHost};"
        ]
        ++ optional stream (nginx.passing (passing // { inherit stream; }))
      )
    else
      lines (
        optional isBehindProxy "if ($http_x_slipway_edge) { return 444; }" ++ [ (problemOf "502" { }) ]
      );
  passing = {
    host = "$host";
    inherit requestId;
    edge = remote;
  };
in
{
  # The names of its upstreams.
  upstreams =
    optional hasFront "slipway-${name}" ++ optional remote anyHost ++ map upstreamOf otherServices;

  # Beside the servers: where the services are, who counts as one client, how much one gets.
  http = lines (
    optional (front != null || remote) (
      nginx.upstream {
        name = "slipway-${name}";
        inherit (proxy.upstream) servers;
        backup = lib.optionals (!remote) (standIn front);
        # A closed socket refuses at once, which costs less than being without any replica for a second. A host without a
        # stack costs one request each time that it is asked again.
        failures =
          if remote then
            "max_fails=1 fail_timeout=${seconds contract.proxy.hostOutSeconds}"
          else
            "max_fails=0";
      }
    )
    ++ optionals remote [
      "# Where nobody is left to ask, all are: one kind of request that they refuse, or a database that is away, must not"
      "# take them all out."
      (nginx.upstream {
        name = anyHost;
        inherit (proxy.upstream) servers;
        failures = "max_fails=0";
      })
      "map $upstream_addr ${asked} {"
      "    volatile;"
      "    \"~(^|, )slipway-${name}$\" \"\";"
      "    default 1;"
      "}"
    ]
    ++ map (
      service:
      nginx.upstream {
        name = upstreamOf service;
        servers = services.${service}.addresses;
        backup = standIn service;
        ours = services.${service}.preset == "api";
        failures = "max_fails=0";
      }
    ) otherServices
    ++ [
      "# An IPv6 client counts by its /64, which is what one of them gets."
      (nginx.client (variable "client"))
    ]
    ++ map (kind: rateZone "slipway-${name}-${short.${kind}}" proxy.limits.${kind}) kinds
    ++ lib.concatLists (
      lib.mapAttrsToList (
        domainName: domain:
        map (kind: rateZone (zoneOf kind domainName domain) domain.limits.${kind}) (
          lib.filter (kind: !isShared kind domain) kinds
        )
      ) proxy.served
    )
    ++ [ "limit_conn_zone ${variable "client"} zone=slipway-${name}-connections:10m;" ]
    ++ optionals isBehindProxy (
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

  # In the server of a domain itself. `listenQuic` are its listeners for HTTP/3.
  server =
    domainName: domain:
    { listenQuic }:
    lines (
      listenQuic
      ++ [
        nginx.tls
        "ssl_ciphers ${nginx.ciphers};"
      ]
      ++ optionals (domain.tls.inUse.clientAuthority != null) [
        "ssl_client_certificate ${domain.tls.inUse.clientAuthority};"
        "ssl_verify_client on;"
      ]
      ++ routes.server domain
      ++ optionals isBehindProxy believeProxies
      ++ headerLinesOf domain
      ++ map (header: "proxy_hide_header ${header};") (lib.attrNames (allHeadersOf domain))
      ++ [
        "# Above the api's own limit, whose refusal says more."
        "client_max_body_size ${toString domain.limits.bodyMiB}m;"
        "limit_req_status 429;"
        "limit_conn_status 429;"
        "# The access log has them."
        "limit_req_log_level info;"
        "limit_conn_log_level info;"
        "limit_conn slipway-${name}-connections ${toString domain.limits.connectionsPerAddress};"
        (nginx.passing passing)
      ]
      ++ optionals remote (upstreamTls domainName)
      ++ [
        "proxy_read_timeout ${seconds domain.timeouts.readSeconds};"
        "# A request whose connection breaks is asked of another replica, unless it was sent and is a POST or PATCH:"
        "# those may have been carried out."
      ]
      ++ (
        if remote then
          [
            "# 502, 503 and 504 are a host's word that its stack takes no requests: another is asked, and this one not"
            "# for a while."
            "recursive_error_pages on;"
          ]
        else
          [ "# Answers, also 503, are the client's to judge." ]
      )
      ++ [
        "proxy_next_upstream ${broken};"
        "proxy_next_upstream_tries 3;"
        "proxy_next_upstream_timeout 10s;"
        "error_page 413 @slipway-413;"
        "error_page 429 @slipway-429;"
        "error_page 502${lib.optionalString remote " ="} @slipway-502;"
        "error_page 504 @slipway-504;"
      ]
      ++ optional proxy.accessLog.enable "access_log /var/log/nginx/stacks/${name}.json slipway-${name} buffer=64k flush=1s;"
      ++ lib.filter (text: text != "") [
        proxy.extraConfig
        domain.extraConfig
      ]
    );

  locations =
    domainName: domain:
    routes.locations {
      inherit
        domain
        services
        upstream
        broken
        passing
        ;
      limit =
        kind:
        "limit_req zone=${zoneOf kind domainName domain} burst=${
          toString domain.limits.${kind}.burst
        } nodelay;";
      headers = headerLinesOf domain;
      # The other hosts' proxies have the same routes.
      strips = remote;
    }
    // lib.mapAttrs' (
      status: _:
      lib.nameValuePair "@slipway-${status}" (
        if status == "502" then
          nobody (lib.any (route: route.stream) (lib.attrValues domain.routes))
        else
          problemOf status (
            lib.optionalAttrs (status == "429") {
              headers = headerLinesOf domain ++ [ "add_header Retry-After 1 always;" ];
            }
          )
      )
    ) nginx.problems;

  ping =
    let
      common = lines (
        [
          (nginx.passing {
            host = proxy.mainDomain;
            edge = remote;
          })
        ]
        ++ optionals remote (
          upstreamTls proxy.mainDomain
          ++ [
            "recursive_error_pages on;"
            "error_page 502 = @slipway-502;"
          ]
        )
      );
    in
    {
      "= ${contract.paths.ready}".extraConfig = lines [
        (nginx.ready {
          upstream = upstream front;
          inherit broken;
        })
        common
      ];
      "^~ ${contract.paths.monitoring}".extraConfig = lines [
        "proxy_pass ${upstream front};"
        common
        "proxy_next_upstream ${broken};"
      ];
      "= /".return = "204";
      "/".return = "404";
    }
    // lib.optionalAttrs remote {
      "@slipway-502".extraConfig = lines [
        (nobody false)
        common
        "proxy_next_upstream ${broken};"
      ];
    };
}
