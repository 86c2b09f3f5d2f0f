# `nginx -t` when the system is built: a configuration that nginx refuses never reaches a host. Static files are looked for,
# too.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.nginx;
  monitoring = config.services.slipway.monitoring or { enable = false; };
  proxied =
    lib.any (stack: stack.enable && stack.proxy.served != { }) (
      lib.attrValues config.services.slipway.stacks
    )
    || monitoring.enable && monitoring.domain != null;

  missing = lib.concatStrings (
    lib.mapAttrsToList (
      name: stack:
      import ../../../nix/lib/static-check.nix {
        inherit lib;
      } "services.slipway.stacks.${name}." stack.proxy.served
    ) (lib.filterAttrs (_: stack: stack.enable) config.services.slipway.stacks)
  );

  # Every address becomes one of the builder's own, and no two the same one: IPv6 has a single one there, so they are all
  # IPv4.
  addresses = pkgs.writeText "addresses.awk" ''
    match($0, /^[[:space:]]*listen[[:space:]]+[^[:space:];]+/) {
      parameters = substr($0, RSTART + RLENGTH)
      words = split(substr($0, 1, RLENGTH), word, /[[:space:]]+/)
      address = word[words]
      port = 80
      if (address ~ /^unix:/) { print; next }
      if (address ~ /^[0-9]+$/) { port = address; address = "*" }
      else if (match(address, /:[0-9]+$/)) { port = substr(address, RSTART + 1); address = substr(address, 1, RSTART - 1) }
      if (!(address in own)) own[address] = ++count
      gsub(/[[:space:]]ipv6only=(on|off)/, "", parameters)
      if (port < 1024) port += 20000
      print "listen 127.1." int(own[address] / 250) "." own[address] % 250 + 1 ":" port parameters
      next
    }
    { print }
  '';

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
        awk -f ${addresses} ${config.environment.etc."nginx/nginx.conf".source} | sed -E \
          -e "s#((proxy_)?ssl_certificate_key) [^;]+;#\1 $PWD/key.pem;#" \
          -e "s#((proxy_)?ssl_certificate|ssl_client_certificate|(proxy_)?ssl_trusted_certificate) [^;]+;#\1 $PWD/certificate.pem;#" \
          -e "s#(/var/log/nginx)(/stacks)?/#$PWD/logs/#g" \
          -e "s#/run/nginx/#$PWD/#g" \
          -e "s#/var/cache/nginx#$PWD#g" \
          > nginx.conf
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

  config.system.checks =
    lib.optional (proxied && config.services.slipway.proxy.checkConfiguration) test
    ++ lib.optional (missing != "") (
      pkgs.runCommand "slipway-static-files-test" { } ''
        ${missing}
        touch $out
      ''
    );
}
