# The pages of docs/ and the documentation of the crates, as files to read or serve.
{ pkgs, workspace }:
pkgs.runCommand "slipway-docs-${workspace.version}"
  { meta.description = "Documentation of Slipway"; }
  ''
    mkdir -p $out/share/doc/slipway
    cp -r ${pkgs.lib.sources.cleanSource ../docs}/. $out/share/doc/slipway/
    cp -r ${workspace.checks.rust-doc}/share/doc $out/share/doc/slipway/crates
  ''
