# `nginx -t` when the system is built: a configuration that nginx refuses never reaches a host.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.nginx;
  proxied = lib.any (stack: stack.enable && stack.proxy.enable) (
    lib.attrValues config.services.slipway.stacks
  );

  # The builder has neither the host's certificates, nor its addresses, nor ports below 1024.
  test =
    pkgs.runCommand "nginx-configuration-test"
      {
        nativeBuildInputs = [
          cfg.package
          pkgs.openssl
        ];
      }
      ''
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=test \
          -keyout key.pem -out certificate.pem 2> /dev/null
        mkdir logs
        sed -E \
          -e "s#((proxy_)?ssl_certificate_key) [^;]+;#\1 $PWD/key.pem;#" \
          -e "s#((proxy_)?ssl_certificate|ssl_client_certificate|(proxy_)?ssl_trusted_certificate) [^;]+;#\1 $PWD/certificate.pem;#" \
          -e 's#listen [0-9]+\.([0-9]+\.[0-9]+\.[0-9]+:)#listen 127.\1#' \
          -e 's#listen \[[^]]*\]:#listen [::1]:#' \
          -e 's#(listen [^ ;]+:)([0-9]{1,3})([ ;])#\120\2\3#' \
          -e "s#(/var/log/nginx)(/stacks)?/#$PWD/logs/#g" \
          -e "s#/run/nginx/#$PWD/#g" \
          -e "s#/var/cache/nginx#$PWD#g" \
          ${config.environment.etc."nginx/nginx.conf".source} > nginx.conf
        for what in client_body_temp_path proxy_temp_path fastcgi_temp_path uwsgi_temp_path scgi_temp_path access_log; do
          grep -Eq "^[[:space:]]*$what .*;" nginx.conf \
            || sed -i -E "s#^http \{#&\n$what $PWD/$what;#" nginx.conf
        done
        nginx -t -e stderr -c "$PWD/nginx.conf" 2> report \
          || { echo "nginx refuses the configuration of this host:" >&2; cat report >&2; exit 1; }
        mv report $out
      '';
in
{
  options.services.slipway.proxy.checkConfiguration = lib.mkOption {
    type = lib.types.bool;
    default = true;
    example = false;
    description = ''
      Whether the build of the system runs `nginx -t` on nginx's configuration, all servers of the host included. Switch it
      off only when a file that your own servers include exists nowhere but on the host.
    '';
  };

  config = lib.mkIf (proxied && config.services.slipway.proxy.checkConfiguration) {
    system.checks = [ test ];
  };
}
