# Shared by the configurations. Only builtins.
let
  inherit (import ../lib/address.nix) hostPort single;
in
rec {
  inherit hostPort single;
  https = address: port: "https://${hostPort address port}";
  names = members: builtins.attrNames members;
  addresses = members: map (name: members.${name}.address) (names members);
  # A file of settings for a process's environment.
  environmentFile =
    variables:
    builtins.concatStringsSep "" (
      map (name: "${name}=${variables.${name}}\n") (builtins.attrNames variables)
    );
}
