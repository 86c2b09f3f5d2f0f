# writeShellApplication for a host's scripts, without shellcheck in the host's build. checks.shell-scripts checks the
# sources, so building a system needs no Haskell program.
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
