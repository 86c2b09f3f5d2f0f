# The proxy of the compose file. Only builtins.
{ contract }:
let
  inherit (contract) ports paths times;
  seconds = number: "${toString number}s";
in
''
  worker_processes auto;
  pid /tmp/nginx.pid;
  error_log stderr warn;
  events { worker_connections 8192; }
  http {
      log_format json escape=json '{"time":"$time_iso8601","request_id":"$request_id","client":"$remote_addr",'
          '"method":"$request_method","path":"$uri","status":$status,"seconds":$request_time,'
          '"upstream":"$upstream_addr","upstream_status":"$upstream_status"}';
      access_log /dev/stdout json;
      client_body_temp_path /tmp/body;
      proxy_temp_path /tmp/proxy;
      fastcgi_temp_path /tmp/fastcgi;
      uwsgi_temp_path /tmp/uwsgi;
      scgi_temp_path /tmp/scgi;
      default_type application/octet-stream;
      server_tokens off;

      # Replicas come and go: their addresses are asked for anew.
      resolver 127.0.0.11 valid=5s ipv6=off;
      upstream api {
          zone api 128k;
          least_conn;
          # A dead replica is asked again soon: a longer ban could take all of them out at once.
          server api:${toString ports.api} resolve max_fails=1 fail_timeout=1s;
          # Shorter than the api's own ${seconds times.keepaliveSeconds}, or a connection that is just closing would be used now and then.
          keepalive 32;
          keepalive_timeout ${seconds times.proxyKeepaliveSeconds};
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
          ssl_protocols TLSv1.2 TLSv1.3;
          ssl_session_cache shared:tls:10m;
          ssl_session_tickets off;
          add_header Strict-Transport-Security "max-age=63072000" always;
          # Above the api's own limit: the api's refusal is a problem document, this one is not.
          client_max_body_size ${toString contract.proxy.bodyMiB}m;
          proxy_http_version 1.1;
          proxy_set_header Connection "";
          proxy_set_header Host $http_host;
          proxy_set_header X-Request-Id $request_id;
          proxy_set_header X-Real-IP $remote_addr;
          proxy_set_header X-Forwarded-For $remote_addr;
          proxy_set_header X-Forwarded-Proto https;
          proxy_connect_timeout ${seconds times.connectSeconds};
          # Above the ${seconds times.longPollSeconds} of a long poll.
          proxy_read_timeout ${seconds times.proxyReadSeconds};
          proxy_next_upstream error timeout http_502 http_503;
          proxy_next_upstream_tries 3;
          location / { proxy_pass http://api; }
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
