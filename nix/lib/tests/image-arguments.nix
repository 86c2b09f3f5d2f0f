# What mkWorkspace says of wrong images.
let
  images = import ../mkWorkspace/image-arguments.nix;
  facts = {
    makers = {
      api = [ "api" ];
      worker = [ "worker" ];
      Serve_ = [ "api" ];
      twin = [
        "left"
        "right"
      ];
    };
    lacking.ctl = [ "cli" ];
    bins = null;
  };
  same = name: got: want: {
    name = "images: ${name}";
    inherit got want;
  };
  says =
    name: image: want:
    same name (images.imageProblems facts { a = image; }) want;
  # The image of a program that is there, with more arguments.
  api = more: { bin = "api"; } // more;
  contents =
    name: items: want:
    says name (api { contents = items; }) want;
  notPlaces = [
    "etc/x"
    "/etc/"
    "/a/../b"
    "/nix/store/x"
  ];
in
[
  (says "nothing wrong" (api { }) [ ])
  (says "everything that can be said" {
    bins = [
      "api"
      "worker"
    ];
    entrypoint = [
      "worker"
      "--now"
    ];
    args = [ "run" ];
    healthcheck = [ "healthcheck" ];
    ports = [
      8000
      "53/udp"
    ];
    env.A = "1";
    labels.a = "b";
    name = "ghcr.io/acme/api";
    tag = "1.0.0-x";
    user = {
      uid = 0;
      gid = 10;
      name = "app";
    };
    workingDir = "/data";
    stopSignal = "SIGRTMIN+3";
    tmp = false;
    allow = [ "sh" ];
    maxMiB = 20;
    contents = [
      ./.
      { outPath = "/nix/store/x"; }
      {
        path = "/etc/app.toml";
        source = ./default.nix;
        mode = "0640";
        uid = 1000;
        gid = 1000;
      }
      {
        path = "/etc/note";
        text = "x";
      }
      {
        path = "/data";
        mode = "0750";
      }
    ];
  } [ ])
  (says "text" "api" [
    "`images.a` is the text `api`: give a set such as `{ bin = \"api\"; }`"
  ])
  (says "no program" { } [
    "`images.a.bin` is missing: give the name of a program"
  ])
  (says "a program and several" (api { bins = [ "api" ]; }) [
    "`images.a` has `bin` and `bins`: give `bins` all of the programs, the one to start first"
  ])
  (says "a program that is not there" { bin = "x"; } [
    "`images.a.bin` names `x`, which no crate makes; there are `Serve_`, `api`, `twin`, `worker`"
  ])
  (says "programs that are not there, and one twice"
    {
      bins = [
        "api"
        "api"
        "x"
      ];
    }
    [
      "`images.a.bins` names `x`, which no crate makes; there are `Serve_`, `api`, `twin`, `worker`"
      "`images.a.bins` names `api` twice: name it once"
    ]
  )
  (says "no programs at all" { bins = [ ]; } [
    "`images.a.bins` is empty: give the names of programs"
  ])
  (says "a program behind a feature" { bin = "ctl"; } [
    "`images.a.bin` names `ctl`, which needs the features `cli`: set `features` to them"
  ])
  (same "a program that is not packaged" (images.imageProblems (facts // { bins = [ "worker" ]; }) {
    a.bin = "api";
  }) [ "`images.a.bin` names `api`, which `bins` leaves out: add it there" ])
  (says "a program that two crates make" { bin = "twin"; } [
    "`images.a.bin` names `twin`, which `left`, `right` make: set `images.a.crate` to one of them"
  ])
  (says "a program of the crate that is meant" {
    bin = "twin";
    crate = "right";
  } [ ])
  (says "a crate that makes none of the programs" (api { crate = "right"; }) [
    "`images.a.crate` is `right`, which makes no program of the image"
  ])
  (says "an argument that is not known" (api { port = 1; }) [
    (
      "`images.a.port` is not known here; there are `allow`, `args`, `bin`, `bins`, `contents`, `crate`, `entrypoint`, "
      + "`env`, `healthcheck`, `labels`, `maxMiB`, `name`, `ports`, `stopSignal`, `tag`, `tmp`, `user`, `workingDir`"
    )
  ])
  (says "values of the wrong kind"
    (api {
      args = "serve";
      tmp = "yes";
      maxMiB = 0;
    })
    [
      "`images.a.args` is the text `serve`: give a list of texts: what the program is started with"
      "`images.a.maxMiB` is the number `0`: give a number: the check fails when the unpacked image is larger; or null"
      "`images.a.tmp` is the text `yes`: give true or false: whether there is a /tmp, which everybody may write to"
    ]
  )
  (says "ports"
    (api {
      ports = [
        80
        0
        70000
        "53/icmp"
        "70000/udp"
        1.5
      ];
    })
    (
      map
        (
          port:
          "`images.a.ports` holds the ${port}: give a TCP port from 1 to 65535 as a number, or text such as \"53/udp\""
        )
        [
          "number `0`"
          "number `70000`"
          "text `53/icmp`"
          "text `70000/udp`"
          "number `1.5`"
        ]
    )
  )
  (says "a name and a tag that no registry takes"
    (api {
      name = "Acme/api:1";
      tag = "1.0+x";
    })
    [
      (
        "`images.a.name` is `Acme/api:1`, which no registry takes: give folders in lower case below the registry's host, "
        + "such as \"ghcr.io/acme/api\"; the tag is `images.a.tag`"
      )
      (
        "`images.a.tag` is `1.0+x`, which no registry takes: give at most 128 letters, digits, `_`, `.` and `-`, and none of "
        + "the last two at the start"
      )
    ]
  )
  (says "a program whose name cannot be an image's" { bin = "Serve_"; } [
    "`images.a.name` is missing, for `Serve_` cannot be one: give a name such as \"api\""
  ])
  (says "who it runs as"
    (api {
      user = {
        uid = -1;
        name = "App";
        group = 1;
      };
    })
    [
      "`images.a.user.group` is not known here; there are `gid`, `name`, `uid`"
      "`images.a.user.name` is the text `App`: give a text such as \"app\""
      "`images.a.user.uid` is the number `-1`: give a number from 0 to 4294967294"
    ]
  )
  (says "where and how it starts and ends"
    (api {
      entrypoint = [ "tini" ];
      workingDir = "data";
      stopSignal = "TERM";
    })
    [
      (
        "`images.a.entrypoint` starts `tini`, which is none of its programs: name one of them, or a path such as \"/bin/NAME\" "
        + "of what `contents` brings"
      )
      "`images.a.workingDir` is `data`: give a path from the root, such as \"/data\""
      "`images.a.stopSignal` is `TERM`: give a signal such as \"SIGTERM\" or \"SIGINT\""
    ]
  )
  (says "a variable's name" (api { env."A=B" = ""; }) [
    "`images.a.env` holds `A=B`, which cannot be a variable's name: a name has no `=` in it"
  ])

  (contents "a folder that is not there"
    [ ./none ]
    [
      "`images.a.contents` names `${toString ./none}`, which is not there: mend the path, or `git add` it, for a flake sees only such files"
    ]
  )
  (contents "a file without a place"
    [ ./default.nix ]
    [
      (
        "`images.a.contents` names the file `${toString ./default.nix}`: say where it lies, such as "
        + "`{ path = \"/etc/default.nix\"; source = ./default.nix; }`"
      )
    ]
  )
  (contents "a text"
    [ "./folder" ]
    [
      "`images.a.contents` holds the text `./folder`: give packages, folders, and sets such as `{ path = \"/etc/app.toml\"; source = ./app.toml; }`"
    ]
  )
  (contents "a place that is none" (map (path: { inherit path; }) notPlaces) (
    map (
      path:
      "`images.a.contents`: `path` is the text `${path}`: give where it lies in the image, such as \"/etc/app.toml\"; /nix is the store's"
    ) notPlaces
  ))
  (contents "no place, and a misspelt argument"
    [ { sauce = ./.; } ]
    [
      "`images.a.contents`: `path` is missing: give where it lies in the image, such as \"/etc/app.toml\"; /nix is the store's"
      "`images.a.contents`: `sauce` is not known here; there are `gid`, `mode`, `path`, `source`, `text`, `uid`"
    ]
  )
  (contents "two sources and no source"
    [
      {
        path = "/a";
        source = ./.;
        text = "x";
      }
      {
        path = "/b";
        source = ./none;
      }
    ]
    [
      "`images.a.contents` gives `/a` `source` and `text`: give one of them"
      "`images.a.contents` names `${toString ./none}`, which is not there: mend the path, or `git add` it, for a flake sees only such files"
    ]
  )
  (contents "modes: setuid, and one that closes a folder"
    [
      {
        path = "/a";
        text = "x";
        mode = "4755";
      }
      {
        path = "/b";
        mode = "0640";
      }
      {
        path = "/c";
        source = ./.;
        mode = "0444";
      }
    ]
    [
      (
        "`images.a.contents`: `mode` is the text `4755`: give three or four octal digits as text, such as \"0640\"; setuid and "
        + "setgid do not belong into an image"
      )
      (
        "`images.a.contents` gives the folder `/b` the mode `0640`, with which nobody can open what is in it: give an x beside "
        + "each r, such as \"0750\""
      )
      (
        "`images.a.contents` gives the folder `/c` the mode `0444`, with which nobody can open what is in it: give an x beside "
        + "each r, such as \"0750\""
      )
    ]
  )
  (contents "a place twice, and the program's own"
    [
      {
        path = "/a";
        text = "x";
      }
      {
        path = "/a";
        text = "y";
      }
      {
        path = "/bin/api";
        text = "x";
      }
    ]
    [
      "`images.a.contents` puts something at `/bin/api`, where the image's program lies: take another path"
      "`images.a.contents` gives `/a` twice: give it once"
    ]
  )

  (same "all mistakes of all images come at once" (builtins.length (
    images.imageProblems facts {
      a = api { ports = [ 0 ]; };
      b = { };
      c = "x";
    }
  )) 3)
  (same "a name that a package or a check has"
    (images.imageNameProblems
      {
        packages = [ "api" ];
        checks = [
          "package-api"
          "rust-fmt"
        ];
      }
      {
        api = { };
        rust-fmt = { };
        package-api = { };
        image = { };
      }
    )
    [
      "`images.api` has the name of the package `api` and would take its place: call the image `images.api-image`"
      "`images.package-api` has the name of the check `package-api` and would take its place: call the image `images.package-api-image`"
      "`images.rust-fmt` has the name of the check `rust-fmt` and would take its place: call the image `images.rust-fmt-image`"
    ]
  )
]
