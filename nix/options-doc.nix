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
        "### `${name}`"
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

  stack = "services.slipway.stacks.<name>";
  # By task: a title, what one does there, and the prefixes of the options. The longest prefix counts.
  tasks = [
    {
      title = "Services";
      about = "What runs all the time, what all programs of a stack share, and the accounts they run as.";
      prefixes = [ "services.slipway.stacks" ];
    }
    {
      title = "Jobs";
      about = "What runs at times, or once before each start.";
      prefixes = [ "${stack}.jobs" ];
    }
    {
      title = "Domains, routes and TLS";
      about = "Which names and paths lead where, with which certificate, and within which limits.";
      prefixes = [
        "${stack}.domains"
        "${stack}.proxy"
        "services.slipway.proxy"
      ];
    }
    {
      title = "Shared addresses";
      about = "An address that one of several hosts with nginx has at a time.";
      prefixes = [ "services.slipway.floating" ];
    }
    {
      title = "Database";
      about = "Where a stack's data is, and the Postgres server of the host.";
      prefixes = [
        "${stack}.database"
        "services.slipway.database"
      ];
    }
    {
      title = "Three hosts";
      about = "Postgres that survives the loss of any one of its hosts.";
      prefixes = [ "services.slipway.cluster" ];
    }
    {
      title = "Cache";
      about = "Redis for a stack, on this host or another one.";
      prefixes = [ "${stack}.cache" ];
    }
    {
      title = "Backups";
      about = "What is kept, where, for how long, and how its restore is proved.";
      prefixes = [
        "${stack}.backup"
        "services.slipway.backup"
      ];
    }
    {
      title = "Encrypted secrets";
      about = "Secrets as files of the flake, which agenix decrypts on the host.";
      prefixes = [ "services.slipway.agenix" ];
    }
    {
      title = "Control plane";
      about = "Slipway's own stack. Its further options are those of `services.slipway.stacks.slipway`.";
      prefixes = [ "services.slipway.controlPlane" ];
    }
    {
      title = "Agent";
      about = "What deploys this host when the control plane says so.";
      prefixes = [ "services.slipway.agent" ];
    }
    {
      title = "Audit log";
      about = "Sends the head of the control plane's audit log elsewhere.";
      prefixes = [ "services.slipway.audit" ];
    }
    {
      title = "Monitoring";
      about = "What a host tells of itself, and the host that watches all of them.";
      prefixes = [
        "services.slipway.telemetry"
        "services.slipway.monitoring"
      ];
    }
    {
      title = "The host";
      about = "The network and the Nix store.";
      prefixes = [
        "services.slipway.network"
        "services.slipway.store"
      ];
    }
  ];
  within = prefix: name: name == prefix || lib.hasPrefix "${prefix}." name;
  longest =
    name: task:
    lib.foldl' lib.max 0 (map lib.stringLength (lib.filter (prefix: within prefix name) task.prefixes));
  titleOf =
    name:
    let
      best = lib.foldl' (best: task: if longest name task > longest name best then task else best) {
        prefixes = [ ];
      } tasks;
    in
    best.title or (throw "nix/options-doc.nix: the option ${name} belongs to no task; name its prefix");
  byTitle = lib.groupBy titleOf (lib.attrNames documented);

  anchor = title: lib.replaceStrings [ " " "," ] [ "-" "" ] (lib.toLower title);
  ofTask =
    { title, about, ... }:
    "## ${title}\n\n${about}\n\n"
    + lib.concatMapStringsSep "\n" (name: section name documented.${name}) byTitle.${title};

  # The first example of docs/stacks.md, which tests/eval/docs.nix evaluates.
  shortest =
    "```" + lib.elemAt (lib.splitString "```" (builtins.readFile ../docs/stacks.md)) 1 + "```";

  text = ''
    <!-- Made from modules/ and nix/stack/ by nix/options-doc.nix; to renew it: nix run .#render -->

    # Options of the NixOS modules

    Look up here what you can set on a NixOS host. `services.slipway.stacks.<name>` runs services and jobs with everything
    around them: [stacks.md](stacks.md) has an example of each kind. This is the shortest useful one. It runs one program
    that reads its port from `PORT`, and serves it over HTTPS:

    ${shortest}

    | see | to set |
    |---|---|
    ${lib.concatMapStringsSep "\n" (
      { title, about, ... }: "| [${title}](#${anchor title}) | ${about} |"
    ) tasks}

    [production.md](production.md) shows the options in use; [settings.md](settings.md) has the settings of Slipway's own
    processes.

    ${lib.concatMapStringsSep "\n" ofTask tasks}'';

  rendered = pkgs.writeText "options.md" text;
in
{
  inherit rendered;
  fresh = text == builtins.readFile ../docs/options.md;
}
