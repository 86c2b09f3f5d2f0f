# What the flake gives as `lib`.
{ crane, nix2container }:
{
  inherit (import ./mkWorkspace { inherit crane nix2container; }) mkWorkspace workspaceProblems;
  inherit (import ../containers) compose kubernetes;
  contract = import ../contract.nix;
  oci = import ./oci.nix;
  yaml = import ./yaml.nix;
}
