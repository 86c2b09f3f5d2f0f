# What the flake gives as `lib`.
{ crane, nix2container }:
{
  mkWorkspace = (import ./mkWorkspace { inherit crane nix2container; }).mkWorkspace;
  contract = import ../contract.nix;
  oci = import ./oci.nix;
  yaml = import ./yaml.nix;
}
