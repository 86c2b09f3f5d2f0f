# writeShellApplication for what a host runs, without shellcheck in the host's build: checks.shell-scripts reads the sources,
# and a system should not need a Haskell program to be built.
{ pkgs }:
arguments:
pkgs.writeShellApplication (
  {
    checkPhase = ''
      ${pkgs.stdenv.shellDryRun} "$target"
    '';
  }
  // arguments
)
