# The proxy of a stack's containers: nginx' whole configuration. Its routes are those of a host (nix/lib/routes.nix).
{
  lib,
  config,
  # service -> HOST:PORT
  addressOf,
  # Whether replicas come and go behind a name, which is then asked for anew; else it has one address for ever.
  resolve,
  # Whether it ends TLS itself. Otherwise something before it does, and is believed about clients.
  tls,
  believed ? [ ],
  # Whether the one domain is served under any name.
  anyName ? false,
}:
let
  contract = import ../contract.nix;
  nginx = import ../lib/nginx.nix { inherit contract; };
  inherit (import ../lib/headers.nix { inherit lib; }) headersOf headerLines;
  routes = import ../lib/routes.nix { inherit contract lib; };
  inherit (contract) ports;
  inherit (nginx) indent lines seconds;
  inherit (lib) optionals;
  inherit (config) domains services;
  staticFolder = "/srv/static";

  allRoutes = lib.concatMap (domain: lib.attrValues domain.routes) (lib.attrValues domains);
  upstreams = lib.unique (
    map (route: route.service) (lib.filter (route: route.service != null) allRoutes)
  );
  # The folder of each package by a short name.
  statics = lib.listToAttrs (
    lib.imap1 (n: static: lib.nameValuePair (toString n) static) (
      lib.unique (map (route: route.static) (lib.filter (route: route.static != null) allRoutes))
    )
  );
  folder =
    static:
    "${staticFolder}/${lib.findFirst (key: statics.${key} == static) null (lib.attrNames statics)}";

  upstream =
    service:
    let
      group =
        name: failures:
        nginx.upstream (
          {
            inherit name;
            servers = [ (addressOf service) ];
            ours = services.${service}.preset == "api";
            parameters = lib.optionalString resolve "resolve ";
          }
          // failures
        );
    in
    [
      (group service { })
      (group "${service}-ready" { failures = "max_fails=0"; })
    ];

  block =
    head: body:
    lines [
      "${head} {"
      (indent 4 (lines body))
      "}"
    ];

  server =
    name: domain:
    let
      zone = kind: if lib.length (lib.attrNames domains) == 1 then kind else "${name}-${kind}";
      rateZone =
        kind: what: "limit_req_zone $client zone=${zone kind}:10m rate=${toString what.perSecond}r/s;";
      headers = headersOf domain;
      added = headerLines headers;
      broken = "error timeout";
      # The name that chose the server: an address in the request line is over Host, which could be another domain's.
      passing = lib.optionalAttrs (!anyName) { host = "$host"; };

      # An address that is gone is tried once more, with those of now. Where a prefix is taken off it would come back.
      again =
        text:
        let
          service = lib.findFirst (
            service:
            lib.any (end: lib.hasInfix "proxy_pass http://${service}${end};" text) [
              ""
              "-ready"
            ]
          ) null upstreams;
        in
        lib.optional (resolve && service != null) "set $served ${service};" ++ [ text ];
      locations = lib.mapAttrs (_: again) (
        routes.locations {
          inherit
            broken
            domain
            folder
            services
            ;
          upstream = service: "http://${service}";
          readyUpstream = service: "http://${service}-ready";
          inherit passing;
          limit =
            kind:
            let
              what = domain.limits.${kind};
            in
            "limit_req zone=${zone kind} burst=${toString what.burst} nodelay;";
          headers = added;
        }
      );
      problem =
        status: more:
        nginx.problem (
          nginx.problems.${status}
          // {
            status = lib.toInt status;
            headers = added;
          }
          // more
        );
      # An address may have been gone before the request was sent.
      unlessAgain =
        status:
        [ (problem status (lib.optionalAttrs resolve { when = "$again = \"\""; })) ]
        ++ lib.optional resolve "proxy_pass http://$again;";
      problems = {
        "@problem-413" = [
          (problem "413" { detail = "a request may have at most ${toString domain.limits.bodyMiB} MiB"; })
        ];
        "@problem-429" = [
          (problem "429" { headers = added ++ [ "add_header Retry-After 1 always;" ]; })
        ];
        "@problem-502" = unlessAgain "502";
        "@problem-504" = unlessAgain "504";
      };
      # The answer of the next try is the answer.
      erring = lib.optionalString resolve "= ";
      port = if tls then "${toString ports.proxyHttps} ssl" else toString ports.proxyHttp;
    in
    {
      zones = [
        (rateZone "requests" domain.limits.requests)
        (rateZone "monitoring" domain.limits.monitoring)
        (rateZone "longPoll" domain.limits.longPoll)
        "limit_conn_zone $client zone=${zone "connections"}:10m;"
      ];
      text = block "server" (
        (
          if anyName then
            [ "listen ${port} default_server;" ]
          else
            [
              "listen ${port};"
              "server_name ${toString ([ name ] ++ domain.aliases)};"
            ]
        )
        ++ optionals tls [
          "http2 on;"
          "ssl_certificate /run/secrets/tls_certificate;"
          "ssl_certificate_key /run/secrets/tls_key;"
          nginx.tls
          "ssl_ciphers ${nginx.ciphers};"
        ]
        ++ added
        ++ map (header: "proxy_hide_header ${header};") (lib.attrNames headers)
        ++ [
          "# Above the api's own limit: the api's refusal says more."
          "client_max_body_size ${toString domain.limits.bodyMiB}m;"
          (nginx.passing passing)
          "proxy_read_timeout ${seconds domain.timeouts.readSeconds};"
          "# Answers, also 503, are the client's to judge: when a dependency is down, every replica gives that one."
          "proxy_next_upstream ${broken};"
          "proxy_next_upstream_tries 3;"
          "limit_req_status 429;"
          "limit_conn_status 429;"
          "# The access log has them."
          "limit_req_log_level info;"
          "limit_conn_log_level info;"
          "limit_conn ${zone "connections"} ${toString domain.limits.connectionsPerAddress};"
          "error_page 413 @problem-413;"
          "error_page 429 @problem-429;"
          "error_page 502 ${erring}@problem-502;"
          "error_page 504 ${erring}@problem-504;"
        ]
        ++ routes.server domain
        ++ optionals resolve [
          "set $served \"\";"
        ]
        ++ lib.mapAttrsToList (location: block "location ${location}") (locations // problems)
      );
    };
  servers = lib.mapAttrsToList server domains;
in
{
  inherit staticFolder statics upstreams;
  text =
    lines [
      "worker_processes auto;"
      "pid /tmp/nginx.pid;"
      "error_log stderr warn;"
      "events { worker_connections 8192; }"
      (block "http" (
        [
          (nginx.logFormat { name = "json"; })
          "access_log /dev/stdout json;"
          "client_body_temp_path /tmp/body;"
          "proxy_temp_path /tmp/proxy;"
          "fastcgi_temp_path /tmp/fastcgi;"
          "uwsgi_temp_path /tmp/uwsgi;"
          "scgi_temp_path /tmp/scgi;"
        ]
        ++ lib.optional (statics != { }) "include /etc/nginx/mime.types;"
        ++ [
          "default_type application/octet-stream;"
          "server_tokens off;"
        ]
        ++ optionals resolve [
          "# The container's start writes where the name server is. Replicas come and go: their addresses are asked for anew."
          "include /tmp/resolver.conf;"
          "# Also how long nginx waits after a name server's failure before it asks again."
          "resolver_timeout 1s;"
        ]
        ++ optionals (believed != [ ]) (
          [ "# What ends TLS says who the client is." ]
          ++ map (network: "set_real_ip_from ${network};") believed
          ++ [
            "real_ip_header X-Forwarded-For;"
            "real_ip_recursive on;"
          ]
        )
        ++ lib.concatMap upstream upstreams
        ++ [
          "# An IPv6 client counts by its /64, which is what one of them gets."
          (nginx.client "$client")
        ]
        ++ lib.concatMap (server: server.zones) servers
        ++ [ routes.http ]
        ++ optionals resolve [
          "# nginx gives a request up when the addresses change while it waits for one that is gone. It is tried once more,"
          "# with those of now, if no replica has seen anything of it: no connection was made."
          (block "map $served:$upstream_connect_time $again" [
            "default \"\";"
            "\"~^([a-z0-9-]+):[-,: ]+$\" $1;"
          ])
        ]
        ++ optionals tls [
          (block "server" [
            "listen ${toString ports.proxyHttp} default_server;"
            "location / { return 308 https://$host$request_uri; }"
          ])
        ]
        ++ optionals (tls && !anyName) [
          "# Names that nobody has."
          (block "server" [
            "listen ${toString ports.proxyHttps} ssl default_server;"
            "ssl_reject_handshake on;"
          ])
        ]
        ++ [
          "# For the container's own health check."
          (block "server" [
            "listen ${lib.optionalString tls "127.0.0.1:"}${toString ports.proxyPing};"
            "access_log off;"
            "location / { return 204; }"
          ])
        ]
        ++ map (server: server.text) servers
      ))
    ]
    + "\n";
}
