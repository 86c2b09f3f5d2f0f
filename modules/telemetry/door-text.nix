# What the door's nginx is told, as text.
{ lib, contract }:
let
  nginx = import ../../nix/lib/nginx.nix { inherit contract; };
  inherit (nginx) indent lines;
in
{
  # Of certificate, key and authority, and of nginx' own files.
  folder,
  listen,
  clients,
  tls,
  clientNames,
  targets,
}:
let
  named = tls && clientNames != [ ];
  query =
    params:
    lib.optionalString (params != { }) "?"
    + lib.concatStringsSep "&" (
      lib.mapAttrsToList (name: value: "${lib.escapeURL name}=${lib.escapeURL value}") params
    );
  # One path, and nothing of what the client wrote but that: exporters read files, keys and addresses from queries.
  location = target: ''
    location = ${target.doorPath} {
        limit_except GET { deny all; }
        set $args "";
        proxy_pass http://${target.address}${target.path}${query target.params};
    }
  '';
in
''
  # Foreground; messages go to the journal.
  daemon off;
  worker_processes 1;
  pid ${folder}/nginx.pid;
  error_log stderr warn;
  events {
      worker_connections 128;
  }
  http {
      access_log off;
      server_tokens off;
      client_body_temp_path ${folder}/body;
      proxy_temp_path ${folder}/proxy;
      fastcgi_temp_path ${folder}/fastcgi;
      uwsgi_temp_path ${folder}/uwsgi;
      scgi_temp_path ${folder}/scgi;
      client_max_body_size 1k;
      proxy_max_temp_file_size 0;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_pass_request_body off;
      proxy_set_header Content-Length "";
      proxy_connect_timeout ${nginx.seconds contract.times.connectSeconds};
      proxy_read_timeout 30s;
''
+ lib.optionalString named ''
  ${"    "}map $ssl_client_s_dn $slipway_is_client {
  ${lines (map (name: "        \"~(^|,)CN=${lib.escapeRegex name}(,|$)\" 1;") clientNames)}
          default 0;
      }
''
+ indent 4 (
  lines (
    [
      "server {"
      "    listen ${listen}${lib.optionalString tls " ssl"};"
    ]
    ++ map (address: "    allow ${address};") clients
    ++ [ "    deny all;" ]
    ++ lib.optionals tls [
      "    ssl_certificate ${folder}/certificate.pem;"
      "    ssl_certificate_key ${folder}/key.pem;"
      "    ssl_client_certificate ${folder}/authority.pem;"
      "    ssl_verify_client on;"
      (indent 4 nginx.tls)
      "    ssl_ciphers ${nginx.ciphers};"
    ]
    ++ lib.optional named "    if ($slipway_is_client = 0) { return 403; }"
    ++ [ "    location / { return 404; }" ]
    ++ map (target: indent 4 (location target)) targets
    ++ [ "}" ]
  )
)
+ "\n}\n"
