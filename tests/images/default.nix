# The check of an image, tried on right and wrong images. Their descriptions here have the form that
# nix2container writes.
{ pkgs }:
let
  inherit (pkgs) lib;
  check = import ../../nix/lib/mkWorkspace/image-check.nix { inherit lib pkgs; } "image";
  inherit (pkgs.stdenv.hostPlatform.go) GOARCH;

  # A program for this machine, under any name.
  holding = names: folder: ''
    mkdir -p $out/${folder}
    for name in ${lib.escapeShellArgs names}; do cp "$(type -P true)" $out/${folder}/$name; done
  '';
  program = names: pkgs.runCommand "program" { } (holding names "bin");
  tree = script: pkgs.runCommand "tree" { } ("mkdir -p $out\n" + script);
  atRoot = path: perms: {
    inherit path;
    options = {
      inherit perms;
      rewrite = {
        regex = "^${path}";
        repl = "";
      };
    };
  };

  config = {
    User = "1000:1000";
    Entrypoint = [ "/bin/api" ];
    Cmd = [ ];
    WorkingDir = "/";
    Healthcheck.Test = [ "CMD" ];
  };

  image =
    {
      bins ? [ "api" ],
      names ? bins,
      asked ? config,
      written ? asked,
      arch ? GOARCH,
      files ? [ ],
      paths ? [ ],
      allow ? [ ],
      maxMiB ? null,
    }:
    let
      own = program names;
      link = tree ''
        mkdir -p $out/bin
        for name in ${lib.escapeShellArgs bins}; do ln -s ${own}/bin/$name $out/bin/$name; done
      '';
    in
    pkgs.writeText "image.json" (
      builtins.toJSON {
        inherit arch;
        image-config = lib.filterAttrs (_: value: value != [ ]) written;
        layers = [
          {
            size = 2 * 1024 * 1024;
            paths = map (path: if lib.isDerivation path then { inherit path; } else path) paths ++ [
              { path = own; }
              (atRoot link [ ])
            ];
          }
        ];
      }
    )
    // {
      inherit
        allow
        bins
        files
        maxMiB
        ;
      arch = GOARCH;
      config = asked;
    };

  data = tree "mkdir $out/data; echo x > $out/data/file";
  owned = perms: {
    paths = [ (atRoot data perms) ];
    files = [
      {
        path = "/data";
        mode = "0750";
        uid = 7;
        gid = 8;
      }
    ];
  };
  rule = mode: {
    regex = "^${data}/data(/.*)?$";
    inherit mode;
    uid = 7;
    gid = 8;
  };
  starting = word: config // { Entrypoint = [ word ]; };

  right = {
    plain = { };
    # As package managers and shells are called.
    names = rec {
      bins = [
        "nix"
        "aptly"
        "nixie"
        "mesh"
        "bash-x"
        "fish"
      ];
      asked = starting "/bin/nix";
    };
    another-of-the-crate.names = [
      "api"
      "bash"
    ];
    allowed = {
      paths = [ (program [ "bash" ]) ];
      allow = [ "bash" ];
    };
    owned = owned [ (rule "0750") ];
    small.maxMiB = 2;
  };

  wrong = {
    shell = {
      image.paths = [ (program [ "bash" ]) ];
      says = "holds .*/bin/bash: no shell";
    };
    link-to-busybox = {
      image.paths = [
        (atRoot (tree "mkdir $out/bin; ln -s ${program [ "box" ]}/bin/box $out/bin/busybox") [ ])
      ];
      says = "holds .*/bin/busybox: no shell";
    };
    manager-elsewhere = {
      image.paths = [ (tree (holding [ "apk" ] "usr/libexec")) ];
      says = "holds .*/usr/libexec/apk: no shell";
    };
    setuid = {
      image = owned [
        (rule "0750")
        {
          regex = "/data/file$";
          mode = "4755";
          uid = 0;
          gid = 0;
        }
      ];
      says = "has a file with the mode 4755";
    };
    owner = {
      image = owned [ (rule "0755") ];
      says = "has /data as 0755 7:8, and not as 0750 7:8";
    };
    no-owner = {
      image = owned [ ];
      says = "has /data as - 0:0, and not as 0750 7:8";
    };
    file = {
      image = {
        inherit (owned [ ]) files;
      };
      says = "lacks /data of its contents";
    };
    entrypoint = {
      image.asked = starting "/bin/init";
      says = "is to hold /bin/init and does not";
    };
    dangling = {
      image.names = [ "other" ];
      says = "holds /bin/api, which cannot be started";
    };
    folder = {
      image.asked = config // {
        WorkingDir = "/data";
      };
      says = "starts in /data, which it does not hold";
    };
    healthcheck = {
      image.written = removeAttrs config [ "Healthcheck" ];
      says = "does not have what was asked of Healthcheck";
    };
    user = {
      image.written = config // {
        User = "0:0";
      };
      says = "does not have what was asked of User";
    };
    arch = {
      image.arch = "s390x";
      says = "is for another kind of machine";
    };
    size = {
      image.maxMiB = 1;
      says = "is 2097152 bytes unpacked; 1 MiB are allowed (images.image.maxMiB)";
    };
  };
in
pkgs.runCommand "check-image-check"
  { passed = map (case: check (image case)) (lib.attrValues right); }
  (
    lib.concatStrings (
      lib.mapAttrsToList (name: case: ''
        log=${pkgs.testers.testBuildFailure (check (image case.image))}/testBuildFailure.log
        grep -q ${lib.escapeShellArg case.says} $log || { echo "${name}:"; cat $log; exit 1; } >&2
      '') wrong
    )
    + "touch $out\n"
  )
