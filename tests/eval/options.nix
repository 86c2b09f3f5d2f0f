# docs/options.md is right for a host: a shown default is set there, an example has the option's type, and each
# description is complete.
{
  agenix,
  host,
  nixosModules,
  stack,
  pkgs,
  lib,
  ...
}:
let
  system = import (pkgs.path + "/nixos/lib/eval-config.nix") {
    inherit (pkgs.stdenv.hostPlatform) system;
    modules = [
      nixosModules.default
      nixosModules.agenix
    ];
  };
  documented = lib.filter (option: option.visible && !option.internal) (
    lib.optionAttrSetToDocList system.options.services.slipway
  );
  config = host [ (stack { }) ];

  place = option: map (part: if part == "<name>" then "shop" else part) option.loc;
  # Prose, and what only groups other options, cannot be compared.
  plain =
    option:
    option ? default
    && option.default._type or "" != "literalMD"
    && !(lib.hasInfix "submodule" option.type);
  there = option: lib.hasAttrByPath (place option) config;
  shown = option: option.default.text or "";
  pretty = lib.generators.toPretty { };
  set = option: builtins.tryEval (pretty (lib.getAttrFromPath (place option) config));
  # As lib.literalExpression was given it, or as the page renders a value.
  differs =
    option:
    let
      value = set option;
    in
    value.success && value.value != shown option && !(computed option);
  # Expressions, which name what they are made of.
  computed = option: builtins.match ".*(config|pkgs|_: ).*" (shown option) != null;
in
[
  {
    name = "there are options to look at";
    got = lib.length documented > 100 && agenix != null;
    want = true;
  }
  {
    name = "a default that is shown is what a host with a plain stack has";
    got = map (option: "${option.name}: ${shown option}, and not ${(set option).value}") (
      lib.filter (option: plain option && there option && differs option) documented
    );
    want = [ ];
  }
  {
    name = "no default is the name of a number that readers do not have";
    got = map (option: option.name) (
      lib.filter (option: lib.hasInfix "contract." (shown option)) documented
    );
    want = [ ];
  }
  {
    name = "every description stands by itself";
    got = map (option: option.name) (
      lib.filter (
        option:
        builtins.match "(The same (for|as)|As above|Likewise|Also ).*" (
          option.description.text or option.description
        ) != null
      ) documented
    );
    want = [ ];
  }
  {
    name = "every option has an example or a fixed set of values";
    got = map (option: option.name) (
      lib.filter (option: !(option ? example) && !(lib.hasInfix "submodule" option.type)) documented
    );
    want = [ ];
  }
]
