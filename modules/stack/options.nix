# What every stack has on a host: the description of nix/stack, and accounts.
{ lib, ... }:
let
  inherit (lib) mkOption types;
  description = import ../../nix/stack;

  program = stack: {
    options = {
      user = mkOption {
        type = types.str;
        default = stack.user;
        defaultText = lib.literalMD "the stack's `user`";
        example = "shop-reports";
        description = "The system user that the program runs as. It is created.";
      };
      path = mkOption {
        type = types.listOf types.package;
        default = [ ];
        example = lib.literalExpression "[ pkgs.git ]";
        description = "Packages with programs that this one runs by their names (PATH). In containers the image has them.";
      };
    };
  };

  stackOptions =
    { name, config, ... }:
    {
      imports = description.modules;
      options = {
        services = mkOption { type = types.attrsOf (types.submodule (program config)); };
        jobs = mkOption { type = types.attrsOf (types.submodule (program config)); };
        enable = mkOption {
          type = types.bool;
          default = true;
          example = false;
          description = "Whether to run this stack. A stack that is switched off is stopped; its data stays.";
        };
        user = mkOption {
          type = types.str;
          default = name;
          defaultText = lib.literalMD "the stack's name";
          example = "shop";
          description = "The system user that services and jobs run as. It is created.";
        };
        group = mkOption {
          type = types.str;
          default = name;
          defaultText = lib.literalMD "the stack's name";
          example = "shop";
          description = "The group of that user. It is created.";
        };
        requires = mkOption {
          type = types.listOf types.str;
          default = [ ];
          internal = true;
          description = "Units that services and jobs are started after and pull in, without failing with them.";
        };
        units = mkOption {
          type = types.listOf types.str;
          internal = true;
          readOnly = true;
          description = "The units of the stack that are active all the time: its services, and its jobs' schedules.";
        };
      };
    };
in
{
  options.services.slipway.stacks = mkOption {
    type = types.attrsOf (types.submodule stackOptions);
    default = { };
    description = "Stacks of this host by name: services and jobs with what they need around them.";
  };
}
