# flake.lock has exactly the inputs of flake.nix, at the addresses that flake.nix gives.
let
  inherit (import ../../../flake.nix) inputs;
  lock = builtins.fromJSON (builtins.readFile ../../../flake.lock);
  locked = lock.nodes.${lock.root}.inputs;
  urlOf =
    { owner, repo, ... }@original:
    "github:${owner}/${repo}" + (if original ? ref then "/${original.ref}" else "");
in
[
  {
    name = "flake.lock: inputs";
    got = builtins.attrNames locked;
    want = builtins.attrNames inputs;
  }
]
++ map (name: {
  name = "flake.lock: address of ${name}";
  got = urlOf lock.nodes.${locked.${name}}.original;
  want = inputs.${name}.url;
}) (builtins.attrNames inputs)
++ map (name: {
  name = "flake.lock: ${name} is locked with its hash";
  got = builtins.match "sha256-.{44}" lock.nodes.${name}.locked.narHash != null;
  want = true;
}) (builtins.filter (name: name != lock.root) (builtins.attrNames lock.nodes))
