# What a stack says about itself: contradictions, and old names. A host takes both into its own lists.
{ lib, ... }:
let
  inherit (lib) mkOption types;
in
{
  options = {
    assertions = mkOption {
      type = types.listOf types.unspecified;
      default = [ ];
      internal = true;
      description = "Contradictions in the description, each with the option and the cure.";
    };
    warnings = mkOption {
      type = types.listOf types.str;
      default = [ ];
      internal = true;
      description = "Sentences for whoever builds the system.";
    };
  };
}
