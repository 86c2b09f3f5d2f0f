# docs/options.md: every option of the modules, from their own declarations. Written in Nix alone, so that evaluating is
# enough to see whether the committed copy is fresh.
{ pkgs, modules }:
let
  inherit (pkgs) lib;

  system = import (pkgs.path + "/nixos/lib/eval-config.nix") {
    inherit (pkgs.stdenv.hostPlatform) system;
    inherit modules;
  };
  root = "${toString ../.}/";
  documented =
    (pkgs.nixosOptionsDoc {
      options.services.slipway = system.options.services.slipway;
      transformOptions =
        option:
        option // { declarations = map (file: lib.removePrefix root (toString file)) option.declarations; };
    }).optionsNix;

  # A code block whose fence is longer than any within.
  fenced = text: "```nix\n${lib.removeSuffix "\n" text}\n```";
  short = text: !lib.hasInfix "\n" text && !lib.hasInfix "`" text && lib.stringLength text <= 80;
  value =
    what: given:
    if given._type or null == "literalMD" then
      "*${what}:* ${given.text}"
    else
      let
        text = given.text or (lib.generators.toPretty { } given);
      in
      if short text then "*${what}:* `${text}`" else "*${what}:*\n\n${fenced text}";

  section =
    name: option:
    lib.concatStringsSep "\n\n" (
      [
        "## `${name}`"
        (lib.removeSuffix "\n" (option.description.text or option.description))
        "*Type:* ${option.type}"
      ]
      ++ lib.optional (option ? default) (value "Default" option.default)
      ++ lib.optional (option ? example) (value "Example" option.example)
      ++ [
        "*Declared in:* ${lib.concatMapStringsSep ", " (file: "[${file}](../${file})") option.declarations}"
      ]
    )
    + "\n";

  text = ''
    <!-- Made from modules/ by nix/options-doc.nix; to renew it: nix run .#render -->

    # Options of the NixOS modules

    Look up here what you can set on a NixOS host. `services.slipway.stacks.<name>` runs an api and a worker with everything
    around them. `services.slipway.controlPlane` is Slipway's own stack, and `services.slipway.agent` deploys the host.
    [production.md](production.md) shows them in use; [settings.md](settings.md) has the settings of the processes.

    ${lib.concatStringsSep "\n" (lib.mapAttrsToList section documented)}'';

  rendered = pkgs.writeText "options.md" text;
in
{
  inherit text rendered;
  fresh = text == builtins.readFile ../docs/options.md;
}
