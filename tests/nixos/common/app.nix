# A stack of a small program in place of a team's: services.slipway.stacks.<name> = app pkgs { … }.
{ lib, pkgs }:
options:
let
  program = pkgs.writeShellApplication {
    name = "app";
    runtimeInputs = [ pkgs.python3 ];
    text = ''exec python3 ${./api.py} "$@"'';
  };
in
lib.mkMerge [
  {
    api = {
      package = program;
      replicas = 2;
    };
    worker = {
      package = program;
      replicas = 1;
    };
    database.enable = false;
  }
  options
]
