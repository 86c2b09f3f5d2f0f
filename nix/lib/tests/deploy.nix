# The committed copies below deploy/ are what the contract gives.
let
  files = import ../../containers/files.nix;
  at = path: ../../../deploy + "/${path}";
in
map (path: {
  name = "deploy/${path} is fresh (nix run .#render)";
  got = builtins.pathExists (at path) && builtins.readFile (at path) == files.${path};
  want = true;
}) (builtins.attrNames files)
