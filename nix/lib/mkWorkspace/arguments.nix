# What mkWorkspace takes, and what is wrong with what it was given: every mistake as a sentence that names the
# argument and the cure. Only builtins.
let
  inherit (builtins)
    concatLists
    concatStringsSep
    elem
    filter
    isAttrs
    isInt
    isList
    isPath
    isString
    map
    ;
  inherit (import ./problems.nix)
    isListOf
    isText
    isTextSet
    list
    quote
    shape
    when
    ;
  inherit (import ./image-arguments.nix) imageProblems;

  # name -> what it must be, in words, and the check of it.
  known = {
    pkgs = {
      is = "a nixpkgs package set, such as `nixpkgs.legacyPackages.x86_64-linux`";
      check = value: isAttrs value && value ? stdenv;
    };
    src = {
      is = "a path, such as `./.`; `self` and strings cannot be filtered, so every edit would rebuild everything";
      check = isPath;
    };
    bins = {
      is = "a list of the names of programs, or null for all";
      check = value: value == null || isListOf isString value;
    };
    images = {
      is = "a set of images: `{ image = { bin = \"api\"; args = [ \"serve\" ]; }; }`";
      check = isAttrs;
    };
    extraSources = {
      is = "a list of paths below `src` that compiling reads, such as `./templates`";
      check = isList;
    };
    testSources = {
      is = "a list of paths below `src` that only tests read";
      check = isList;
    };
    services = {
      is = "a list out of `postgres` and `redis`, which run beside the tests";
      check = isListOf (
        service:
        elem service [
          "postgres"
          "redis"
        ]
      );
    };
    nativeBuildInputs = {
      is = "a list of packages that run while building, such as `[ pkgs.pkg-config ]`";
      check = isList;
    };
    buildInputs = {
      is = "a list of libraries to link with, such as `[ pkgs.openssl ]`";
      check = isList;
    };
    testInputs = {
      is = "a list of packages whose programs the tests start";
      check = isList;
    };
    nextestArgs = {
      is = "text: what `cargo nextest run` is given besides, such as a filter";
      check = isString;
    };
    shellInputs = {
      is = "a list of packages for the development shell";
      check = isList;
    };
    env = {
      is = "a set of texts: the environment of every cargo call";
      check = isTextSet;
    };
    profile = {
      is = "the name of the cargo profile that programs are built in, such as \"release\"";
      check = isString;
    };
    packageArgs = {
      is = "a function from pkgs to a set by crate name of what is added to its derivation";
      check = builtins.isFunction;
    };
    auditable = {
      is = "true or false: whether programs carry the list of their crates for `cargo audit bin`";
      check = value: value == null || builtins.isBool value;
    };
    revision = {
      is = "the commit as text, such as `self.rev or self.dirtyRev or null`";
      check = isText;
    };
    lastModified = {
      is = "the commit's time in seconds, such as `self.lastModified`";
      check = isInt;
    };
    source = {
      is = "the repository's address as text, or null";
      check = isText;
    };
  };
  required = [
    "pkgs"
    "src"
  ];

  # Mistakes of arguments that have the right kind: what they say of the workspace.
  meaning =
    {
      programs,
      version,
      profiles,
    }:
    args:
    let
      profile = args.profile or "release";
      bins = if args.bins or null == null then [ ] else args.bins;
      unknown = filter (bin: !elem bin programs) bins;
    in
    when (
      version == null
    ) "`src` has no version: set `version` below [workspace.package] in its Cargo.toml"
    ++ when (programs == [ ]) "`src` has no programs: give a crate a src/main.rs"
    ++ map (bin: "`bins` names ${quote bin}, which no crate makes; there are ${list programs}") unknown
    ++ when (
      !elem profile profiles
    ) "`profile` is ${quote profile}, which `src` has no section for; there are ${list profiles}"
    ++ imageProblems programs (args.images or { });
in
{
  # Mistakes that show before the workspace is read.
  shapeProblems = shape "" known required;

  # `facts` = { programs, version, profiles } of the workspace.
  meaningProblems = meaning;

  # The value if there are no problems; all problems at once otherwise.
  orThrow =
    problems: value:
    if problems == [ ] then
      value
    else
      throw (
        concatStringsSep "\n" (concatLists [
          [ "mkWorkspace cannot use its arguments:" ]
          (map (problem: "  - ${problem}") problems)
        ])
      );
}
