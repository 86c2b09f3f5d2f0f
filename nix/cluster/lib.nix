# Shared by the configurations. Only builtins.
rec {
  isV6 = address: builtins.match ".*:.*" address != null;
  hostPort =
    address: port:
    if isV6 address then "[${address}]:${toString port}" else "${address}:${toString port}";
  https = address: port: "https://${hostPort address port}";
  # An address as pg_hba.conf and an allow list take it.
  single = address: if isV6 address then "${address}/128" else "${address}/32";
  names = members: builtins.attrNames members;
  addresses = members: map (name: members.${name}.address) (names members);
  # A file of settings for a process's environment.
  environmentFile =
    variables:
    builtins.concatStringsSep "" (
      map (name: "${name}=${variables.${name}}\n") (builtins.attrNames variables)
    );
}
