# What the door's nginx is told, as text.
{ lib, contract }:
let
  nginx = import ../../nix/lib/nginx.nix { inherit contract; };
  inherit (nginx) indent lines;
  block =
    head: body:
    lines [
      "${head} {"
      (indent 4 (lines body))
      "}"
    ];
  query =
    params:
    lib.optionalString (params != { }) "?"
    + lib.concatStringsSep "&" (
      lib.mapAttrsToList (name: value: "${lib.escapeURL name}=${lib.escapeURL value}") params
    );
in
{
  # Where certificate, key and authority are, and nginx' own files.
  folder,
  # Address and port.
  listen,
  clients,
  tls,
  clientNames,
  targets,
}:
let
  named = tls && clientNames != [ ];

  # One path, and of what the client wrote nothing but that: exporters take files, keys and addresses from a query.
  location =
    target:
    block "location = ${target.doorPath}" [
      "limit_except GET { deny all; }"
      "set $args \"\";"
      "proxy_pass http://${target.address}${target.path}${query target.params};"
    ];

  server = block "server" (
    [ "listen ${listen}${lib.optionalString tls " ssl"};" ]
    ++ map (address: "allow ${address};") clients
    ++ [ "deny all;" ]
    ++ lib.optionals tls [
      "ssl_certificate ${folder}/certificate.pem;"
      "ssl_certificate_key ${folder}/key.pem;"
      "ssl_client_certificate ${folder}/authority.pem;"
      "ssl_verify_client on;"
      nginx.tls
      "ssl_ciphers ${nginx.ciphers};"
    ]
    ++ lib.optional named "if ($slipway_is_client = 0) { return 403; }"
    ++ [ "location / { return 404; }" ]
    ++ map location targets
  );
in
lines [
  "daemon off;"
  "worker_processes 1;"
  "pid ${folder}/nginx.pid;"
  "error_log stderr warn;"
  (block "events" [ "worker_connections 128;" ])
  (block "http" (
    [
      "access_log off;"
      "server_tokens off;"
      "# Most exporters do it themselves, the shipper of logs and programs of stacks do not. Their types have a version"
      "# behind them, which no list of types can name."
      "gzip on;"
      "gzip_proxied any;"
      "gzip_types *;"
    ]
    ++ map (kind: "${kind}_temp_path ${folder}/${kind};") [
      "client_body"
      "proxy"
      "fastcgi"
      "uwsgi"
      "scgi"
    ]
    ++ [
      "client_max_body_size 1k;"
      "proxy_max_temp_file_size 0;"
      "proxy_pass_request_body off;"
      "proxy_set_header Content-Length \"\";"
      "proxy_connect_timeout ${nginx.seconds contract.times.connectSeconds};"
      "proxy_read_timeout 30s;"
    ]
    ++ lib.optional named (
      block "map $ssl_client_s_dn $slipway_is_client" (
        [ "# A comma inside a value has a backslash before it." ]
        ++ map (name: "${nginx.withCommonName name} 1;") clientNames
        ++ [ "default 0;" ]
      )
    )
    ++ [ server ]
  ))
]
+ "\n"
