# What the nginx before the log store is told, as text. It says itself which host a line is from: neither a host nor a program
# on it can send lines of another one.
{ lib, contract }:
let
  nginx = import ../../../nix/lib/nginx.nix { inherit contract; };
  inherit (nginx) indent lines;
  inherit (contract) ports;
  store = "127.0.0.1:${toString ports.logStore}";
  # Fields by which the store keeps lines together.
  streams = "host,stack,service,unit";
  # The whole address is ours: nginx would add the sender's query to one without variables. Of the sender's headers the store
  # sees those that describe the body.
  take = host: [
    "location = /_bulk {"
    "    limit_except POST { deny all; }"
    "    set $args \"\";"
    "    proxy_pass http://${store}/insert/elasticsearch/_bulk?_time_field=_time&_msg_field=message&_stream_fields=${streams}&extra_fields=host=${host};"
    "}"
    "location / { return 404; }"
  ];
in
{
  # Of certificate, key, authority and passwords, and of nginx' own files.
  folder,
  # This host's name, for its own lines.
  own,
  # Address and port, or null for no door to other hosts.
  listen,
  clients,
  # Whether senders may be known by a certificate, and by a password.
  certificates,
  passwords,
  # [ { host, certificate } ]: the certificate's common name.
  senders,
  # The port of OpenSearch if it is behind the door as well, else null. It takes a line's host as the sender says it.
  opensearch,
}:
''
  # Foreground; messages go to the journal.
  daemon off;
  worker_processes 1;
  pid ${folder}/nginx.pid;
  # Warnings, such as of a large batch, would be lines to send, and lead to further ones.
  error_log stderr error;
  events {
      worker_connections 1024;
  }
  http {
      access_log off;
      server_tokens off;
      client_body_temp_path ${folder}/body;
      proxy_temp_path ${folder}/proxy;
      fastcgi_temp_path ${folder}/fastcgi;
      uwsgi_temp_path ${folder}/uwsgi;
      scgi_temp_path ${folder}/scgi;
      # A batch is at most 2 MiB in the shipper's form, and more as JSON; it comes compressed.
      client_max_body_size 32m;
      client_body_buffer_size 256k;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_pass_request_headers off;
      # As a form the body would count before the address.
      proxy_set_header Content-Type application/x-ndjson;
      proxy_set_header Content-Encoding $http_content_encoding;
      proxy_connect_timeout ${nginx.seconds contract.times.connectSeconds};
      proxy_read_timeout 60s;
''
+ indent 4 (
  lines (
    [
      "server {"
      "    listen 127.0.0.1:${toString ports.logLocal};"
    ]
    ++ map (indent 4) (take own)
    ++ [ "}" ]
    ++ lib.optionals (listen != null) (
      [ "map $ssl_client_s_dn $slipway_by_certificate {" ]
      ++ map (sender: "    ${nginx.withCommonName sender.certificate} ${sender.host};") (
        lib.optionals certificates senders
      )
      ++ [
        "    default \"\";"
        "}"
        "map $remote_user $slipway_by_password {"
      ]
      ++ map (sender: "    ${sender.host} ${sender.host};") (lib.optionals passwords senders)
      ++ [
        "    default \"\";"
        "}"
        "map $ssl_client_verify $slipway_host {"
        "    SUCCESS $slipway_by_certificate;"
        "    default $slipway_by_password;"
        "}"
        "map $ssl_client_verify $slipway_realm {"
        "    SUCCESS off;"
        "    default logs;"
        "}"
        "server {"
        "    listen ${listen} ssl;"
      ]
      ++ map (address: "    allow ${address};") clients
      ++ [
        "    deny all;"
        "    ssl_certificate ${folder}/certificate.pem;"
        "    ssl_certificate_key ${folder}/key.pem;"
        (indent 4 nginx.tls)
        "    ssl_ciphers ${nginx.ciphers};"
      ]
      ++ lib.optionals certificates [
        "    ssl_client_certificate ${folder}/authority.pem;"
        "    ssl_verify_client ${if passwords then "optional" else "on"};"
      ]
      ++ lib.optionals passwords [
        "    auth_basic $slipway_realm;"
        "    auth_basic_user_file ${folder}/passwords;"
      ]
      ++ [ "    if ($slipway_host = \"\") { return 403; }" ]
      ++ lib.optionals (opensearch != null) [
        "    location = /opensearch/_bulk {"
        "        limit_except POST { deny all; }"
        "        set $args \"\";"
        "        proxy_pass http://127.0.0.1:${toString opensearch}/_bulk;"
        "    }"
      ]
      ++ map (indent 4) (take "$slipway_host")
      ++ [ "}" ]
    )
  )
)
+ "\n}\n"
