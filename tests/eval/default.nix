# What the modules make of options: a list of what is wrong, which must be empty. A suite is a file with a function to a
# list of { name, got, want }; it gets
#
#   host MODULES      the configuration of a host with the modules and stand-ins for our packages
#   plain MODULES     the same without our modules
#   nixosModules      what the flake exports
#   refused MODULES   the messages of the assertions that fail on it
#   says NAME WORDS MODULES   the case that exactly one assertion fails, and its message has all these words
#   saysAmong NAME WORDS MODULES   the same, but other assertions may fail as well
#   stack OPTIONS     a module with the stack `shop`, which runs, with these options on top
#   mkWorkspace       of the flake's lib; `workspaceProblems` gives the mistakes that it throws
#   standIn NAME      a package with a program of that name, and nothing inside
{
  pkgs,
  agenix,
  mkWorkspace,
  workspaceProblems,
}:
let
  inherit (pkgs) lib;

  # What suites share. Every other file of this folder is a suite, so that none is forgotten.
  shared =
    file:
    lib.hasSuffix "tools.nix" file
    || lib.elem file [
      "default.nix"
      "pages.nix"
      "backup-offsite.nix"
    ];
  isSuite = file: type: type == "regular" && lib.hasSuffix ".nix" file && !shared file;
  suites = map (file: ./. + "/${file}") (
    lib.attrNames (lib.filterAttrs isSuite (builtins.readDir ./.))
  );

  tools = import ./tools.nix { inherit pkgs agenix; } // {
    inherit mkWorkspace workspaceProblems;
  };

  verdict =
    {
      name,
      got,
      want,
    }:
    lib.optional (got != want) "${name}: got ${builtins.toJSON got}, want ${builtins.toJSON want}";
  run =
    suite:
    let
      cases = import suite tools;
    in
    # A suite without cases would pass for ever.
    if cases == [ ] then [ "${toString suite}: has no cases" ] else lib.concatMap verdict cases;
in
lib.concatMap run suites
