# The proxy of the compose file. Only builtins.
{ contract }:
let
  inherit (contract) ports paths times;
  nginx = import ../lib/nginx.nix { inherit contract; };
  inherit (nginx) seconds;
  # The block's lines stand deeper than its first.
  at = width: text: builtins.substring width (-1) (nginx.indent width text);
in
''
  worker_processes auto;
  pid /tmp/nginx.pid;
  error_log stderr warn;
  events { worker_connections 8192; }
  http {
      ${at 4 (nginx.logFormat { name = "json"; })}
      access_log /dev/stdout json;
      client_body_temp_path /tmp/body;
      proxy_temp_path /tmp/proxy;
      fastcgi_temp_path /tmp/fastcgi;
      uwsgi_temp_path /tmp/uwsgi;
      scgi_temp_path /tmp/scgi;
      default_type application/octet-stream;
      server_tokens off;

      # Replicas come and go: their addresses are asked for anew.
      resolver 127.0.0.11 valid=1s ipv6=off;
      # Also how long nginx waits after a name server's failure before it asks again.
      resolver_timeout 1s;
      ${at 4 (
        nginx.upstream {
          name = "api";
          servers = [ "api:${toString ports.api}" ];
          parameters = "resolve ";
        }
      )}

      # Whether no replica has seen anything of the request: no connection was made.
      map $upstream_connect_time $unsent {
          default "";
          "~^[-,: ]+$" 1;
      }

      server {
          listen ${toString ports.proxyHttp} default_server;
          location / { return 308 https://$host$request_uri; }
      }

      # For the container's own health check.
      server {
          listen 127.0.0.1:${toString ports.proxyPing};
          access_log off;
          location / { return 204; }
      }

      server {
          listen ${toString ports.proxyHttps} ssl default_server;
          http2 on;
          ssl_certificate /run/secrets/tls_certificate;
          ssl_certificate_key /run/secrets/tls_key;
          ${at 8 nginx.tls}
          add_header Strict-Transport-Security "max-age=63072000" always;
          # Above the api's own limit: the api's refusal is a problem document, this one is not.
          client_max_body_size ${toString contract.proxy.bodyMiB}m;
          ${at 8 (nginx.passing { })}
          # Above the ${seconds times.longPollSeconds} of a long poll.
          proxy_read_timeout ${seconds times.proxyReadSeconds};
          proxy_next_upstream error timeout http_502 http_503;
          proxy_next_upstream_tries 3;
          location / { proxy_pass http://api; }
          # nginx gives a request up when the addresses change while it waits for one that is gone. It is tried once more,
          # with those of now.
          error_page 502 = @again;
          location @again {
              if ($unsent = "") { return 502; }
              proxy_pass http://api;
          }
          # A 503 here is an answer (a dependency is down), not a reason to ask another replica.
          location ${paths.monitoring} {
              proxy_pass http://api;
              proxy_next_upstream error timeout http_502;
          }
          # A sync says what is and asks what to do: sending it twice is safe.
          location = ${paths.sync} {
              proxy_pass http://api;
              proxy_next_upstream error timeout http_502 http_503 non_idempotent;
          }
      }
  }
''
