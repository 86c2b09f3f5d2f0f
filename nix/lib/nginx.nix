# Parts of an nginx configuration that the modules and the compose file share, as text. Only builtins.
{ contract }:
let
  inherit (builtins)
    concatStringsSep
    filter
    isString
    map
    replaceStrings
    split
    ;
  inherit (contract) times;

  seconds = number: "${toString number}s";
  lines = concatStringsSep "\n";
in
{
  inherit seconds;

  # Every line of a text, indented; empty lines stay empty.
  indent =
    width: text:
    let
      space = concatStringsSep "" (builtins.genList (_: " ") width);
    in
    lines (map (line: if line == "" then "" else space + line) (filter isString (split "\n" text)));

  # One object a line. Of the address only the path: a query may carry what must not be logged. The domain is the server's,
  # and the route is set by routes.nix: clients choose neither.
  logFormat =
    {
      name,
      requestId ? "$request_id",
    }:
    lines [
      "log_format ${name} escape=json '{\"time\":\"$time_iso8601\",\"request_id\":\"${requestId}\",\"client\":\"$remote_addr\",'"
      "    '\"domain\":\"$server_name\",\"route\":\"$slipway_route\",'"
      "    '\"method\":\"$request_method\",\"path\":\"$uri\",\"status\":$status,\"seconds\":$request_time,'"
      "    '\"upstream\":\"$upstream_addr\",\"upstream_status\":\"$upstream_status\"}';"
    ];

  # `servers` are addresses as nginx has them, with `parameters` such as `resolve`. Those of `backup` are asked only while
  # none of the others takes a connection: the stand-ins of rolling restarts.
  upstream =
    {
      name,
      servers,
      backup ? [ ],
      parameters ? "",
      # A dead replica is asked again soon: a longer ban could take all of them out at once.
      failures ? "max_fails=1 fail_timeout=1s",
      # Whether the program keeps the contract. Of others nothing is known; some close an idle connection after 2 s.
      ours ? true,
    }:
    lines (
      [
        "upstream ${name} {"
        "    zone ${name} 128k;"
        "    least_conn;"
      ]
      ++ map (server: "    server ${server} ${parameters}${failures};") servers
      ++ map (server: "    server ${server} ${parameters}${failures} backup;") backup
      ++ [
        "    # Shorter than the ${
              if ours then "api's own ${seconds times.keepaliveSeconds}" else "program's own time"
            }, or a connection that is just closing would be used now and then."
        "    keepalive 32;"
        "    keepalive_timeout ${seconds (if ours then times.proxyKeepaliveSeconds else 1)};"
        "}"
      ]
    );

  # For the path that says whether the service takes requests: one replica that does is enough. The one that stops says
  # 503 and is passed over. An upstream of replicas takes none out for that, or an outage of the database would take out
  # all. Of hosts one is taken out, and all are asked where none is left.
  ready =
    {
      upstream,
      broken ? "error timeout",
    }:
    let
      again = if builtins.match ".* http_503.*" broken == null then "${broken} http_503" else broken;
    in
    lines [
      "proxy_pass ${upstream};"
      "# A replica that stops says 503: the next one is asked. The last answer stands."
      "proxy_next_upstream ${again};"
      "proxy_next_upstream_tries 0;"
    ];

  # Clients as limits count them: by address, of IPv6 by the /64 that one client gets. By the bytes: as text a /64 has many
  # forms, such as 2001:db8::1.
  client =
    variable:
    lines [
      "map $binary_remote_addr ${variable} {"
      "    \"~(?s)^(.{8}).{8}$\" $1;"
      "    default $binary_remote_addr;"
      "}"
    ];

  # What a replica is told. Headers of the client that look like a proxy's are overwritten or dropped, also those that
  # frameworks take for the host or the path. `traceparent` passes.
  passing =
    {
      host ? "$http_host",
      requestId ? "$request_id",
      # Taken off the path.
      prefix ? "",
      # Whether the connection may become a WebSocket: needs the maps of routes.nix.
      stream ? false,
      # Whether what follows is a proxy with replicas of its own, which then closes the connection where nobody answers.
      edge ? false,
    }:
    lines (
      [
        "proxy_http_version 1.1;"
        "proxy_set_header Connection ${if stream then "$slipway_connection" else "\"\""};"
      ]
      ++ (if stream then [ "proxy_set_header Upgrade $slipway_upgrade;" ] else [ ])
      ++ [
        "proxy_set_header Host ${host};"
        "proxy_set_header X-Request-Id ${requestId};"
        "proxy_set_header X-Real-IP $remote_addr;"
        "proxy_set_header X-Forwarded-For $remote_addr;"
        "proxy_set_header X-Forwarded-Proto https;"
        "proxy_set_header X-Forwarded-Prefix \"${prefix}\";"
      ]
      ++ map (header: "proxy_set_header ${header} \"\";") [
        "Forwarded"
        "Proxy"
        "X-Forwarded-Host"
        "X-Forwarded-Port"
        "X-Forwarded-Server"
        "X-Original-URL"
        "X-Rewrite-URL"
      ]
      ++ (if edge then [ "proxy_set_header X-Slipway-Edge 1;" ] else [ ])
      ++ [ "proxy_connect_timeout ${seconds times.connectSeconds};" ]
    );

  # A key of a `map` of $ssl_client_s_dn: certificates with this common name. A comma inside a value has a backslash before it,
  # or an organization could be called `x,CN=monitor.internal`.
  withCommonName =
    name:
    let
      special = [
        "\\"
        "["
        "{"
        "("
        ")"
        "^"
        "$"
        "?"
        "*"
        "+"
        "|"
        "."
      ];
    in
    "\"~(^|[^\\x5c],)CN=${replaceStrings special (map (sign: "\\" + sign) special) name}(,|$)\"";

  # What a server with TLS has. No parameters for finite-field Diffie-Hellman: all suites in use are of elliptic curves.
  # No stapled OCSP answers either: the large authorities no longer give any.
  tls = lines [
    "ssl_protocols TLSv1.2 TLSv1.3;"
    "ssl_session_cache shared:tls:10m;"
    "ssl_session_tickets off;"
  ];

  # Suites of TLS 1.2, all with forward secrecy and authenticated encryption.
  ciphers = builtins.concatStringsSep ":" [
    "ECDHE-ECDSA-AES128-GCM-SHA256"
    "ECDHE-RSA-AES128-GCM-SHA256"
    "ECDHE-ECDSA-AES256-GCM-SHA384"
    "ECDHE-RSA-AES256-GCM-SHA384"
    "ECDHE-ECDSA-CHACHA20-POLY1305"
    "ECDHE-RSA-CHACHA20-POLY1305"
  ];

  # What the proxy says by itself, by status.
  problems = {
    "413" = {
      title = "Content Too Large";
      detail = "the request has a larger body than this address takes";
    };
    "429" = {
      title = "Too Many Requests";
      detail = "your address has sent too many requests; wait a second, then send fewer";
    };
    "502" = {
      title = "Bad Gateway";
      detail = "no replica of the service took the request; try again shortly";
    };
    "504" = {
      title = "Gateway Timeout";
      detail = "the service did not answer in time";
    };
  };

  # An answer of the proxy's own as a problem document (RFC 9457), like those of the api.
  problem =
    {
      status,
      title,
      detail,
      headers ? [ ],
      # The condition of an `if`; what follows is for all other requests.
      when ? null,
    }:
    let
      answer = "return ${toString status} '${
        builtins.toJSON {
          type = "about:blank";
          inherit status title detail;
        }
      }';";
    in
    lines (
      [ "default_type application/problem+json;" ]
      ++ headers
      ++ [ (if when == null then answer else "if (${when}) { ${answer} }") ]
    );

  inherit lines;
}
