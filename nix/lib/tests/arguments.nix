let
  arguments = import ../mkWorkspace/arguments.nix;
  good = {
    pkgs.stdenv = { };
    src = ./.;
  };
  facts = {
    programs = [
      "api"
      "worker"
    ];
    version = "1.0.0";
    profiles = [
      "dev"
      "release"
      "dist"
    ];
  };
  shape = name: args: want: {
    name = "mkWorkspace: ${name}";
    got = arguments.shapeProblems args;
    inherit want;
  };
  meaning = name: facts: args: want: {
    name = "mkWorkspace: ${name}";
    got = arguments.meaningProblems facts (good // args);
    inherit want;
  };
in
[
  (shape "nothing wrong" good [ ])
  (shape "no pkgs" { src = ./.; } [
    "`pkgs` is missing: give a nixpkgs package set, such as `nixpkgs.legacyPackages.x86_64-linux`"
  ])
  (shape "src as text" (good // { src = "/x"; }) [
    (
      "`src` is a string: give a path, such as `./.`; `self` and strings cannot be filtered, so every edit would "
      + "rebuild everything"
    )
  ])
  {
    name = "mkWorkspace: a misspelt argument is named, with those there are";
    got =
      builtins.match "`binz` is not known here; there are .*`bins`.*" (
        builtins.head (arguments.shapeProblems (good // { binz = [ ]; }))
      ) != null;
    want = true;
  }
  (shape "an unknown service" (good // { services = [ "mysql" ]; }) [
    "`services` is a list: give a list out of `postgres` and `redis`, which run beside the tests"
  ])
  (meaning "nothing wrong with the meaning" facts {
    bins = [ "api" ];
    images.image.bin = "api";
  } [ ])
  (meaning "a program that is not there" facts { bins = [ "apii" ]; } [
    "`bins` names `apii`, which no crate makes; there are `api`, `worker`"
  ])
  (meaning "an image of a program that is not there" facts { images.image.bin = "x"; } [
    "`images.image.bin` is `x`, which no crate makes; there are `api`, `worker`"
  ])
  (meaning "an image without a program" facts { images.image = { }; } [
    "`images.image.bin` is missing: give the name of a program"
  ])
  (meaning "an image that is text" facts { images.image = "api"; } [
    "`images.image` is a string: give a set such as `{ bin = \"api\"; }`"
  ])
  (meaning "a port out of range" facts {
    images.image = {
      bin = "api";
      ports = [ 70000 ];
    };
  } [ "`images.image.ports` is a list: give a list of TCP ports" ])
  (meaning "a profile of the workspace" facts { profile = "dist"; } [ ])
  (meaning "a profile that is not there" facts { profile = "small"; } [
    "`profile` is `small`, which `src` has no section for; there are `dev`, `release`, `dist`"
  ])
  (meaning "no version" (facts // { version = null; }) { } [
    "`src` has no version: set `version` below [workspace.package] in its Cargo.toml"
  ])
  {
    name = "mkWorkspace: all problems are thrown at once";
    got = (builtins.tryEval (arguments.orThrow [ "a" "b" ] true)).success;
    want = false;
  }
]
