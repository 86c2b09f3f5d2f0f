# The proxy of the compose file. Only builtins.
{ contract }:
let
  inherit (contract) ports paths times;
  nginx = import ../lib/nginx.nix { inherit contract; };
  inherit (nginx) seconds;
  limits = contract.proxy;
  servers = [ "api:${toString ports.api}" ];
  parameters = "resolve ";
  zone = name: what: "limit_req_zone $client zone=${name}:10m rate=${toString what.perSecond}r/s;";
  limit = name: what: "limit_req zone=${name} burst=${toString what.burst} nodelay;";
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
          inherit servers parameters;
        }
      )}
      ${at 4 (
        nginx.upstream {
          name = "api-ready";
          inherit servers parameters;
          failures = "max_fails=0";
        }
      )}

      # An IPv6 client counts by its /64, which is what one of them gets.
      ${at 4 (nginx.client "$client")}
      ${zone "requests" limits.requests}
      ${zone "monitoring" limits.monitoring}
      ${zone "long-poll" limits.longPoll}
      limit_conn_zone $client zone=connections:10m;

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
          proxy_read_timeout ${seconds times.proxyRequestSeconds};
          # Answers, also 503, are the client's to judge: when a dependency is down, every replica gives that one.
          proxy_next_upstream error timeout;
          proxy_next_upstream_tries 3;
          limit_req_status 429;
          limit_conn_status 429;
          # The access log has them.
          limit_req_log_level info;
          limit_conn_log_level info;
          limit_conn connections ${toString limits.connectionsPerAddress};
          error_page 429 @too-many;
          location @too-many {
              ${at 12 (
                nginx.problem {
                  status = 429;
                  title = "Too Many Requests";
                  detail = "your address has sent too many requests; wait a second, then send fewer";
                  headers = [
                    "add_header Strict-Transport-Security \"max-age=63072000\" always;"
                    "add_header Retry-After 1 always;"
                  ];
                }
              )}
          }
          location / {
              proxy_pass http://api;
              ${limit "requests" limits.requests}
          }
          # nginx gives a request up when the addresses change while it waits for one that is gone. It is tried once more,
          # with those of now.
          error_page 502 = @again;
          location @again {
              if ($unsent = "") { return 502; }
              proxy_pass http://api;
          }
          location ${paths.monitoring} {
              proxy_pass http://api;
              ${limit "monitoring" limits.monitoring}
          }
          location = ${paths.ready} {
              ${at 12 (nginx.ready { upstream = "http://api-ready"; })}
              ${limit "monitoring" limits.monitoring}
          }
          # A sync says what is and asks what to do: sending it twice is safe.
          location = ${paths.sync} {
              proxy_pass http://api;
              ${limit "long-poll" limits.longPoll}
              # Above the ${seconds times.longPollSeconds} that it lasts.
              proxy_read_timeout ${seconds times.proxyReadSeconds};
              proxy_next_upstream error timeout non_idempotent;
          }
      }
  }
''
