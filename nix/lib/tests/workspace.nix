let
  cargo = import ../workspace.nix;
  paths = import ../paths.nix;
  ours = cargo.read ../../..;

  root = fromTOML ''
    [workspace.package]
    version = "1.2.3"
    [workspace.dependencies]
    base = { path = "crates/base" }
    renamed = { path = "./crates/other", package = "other" }
    serde = "1"
  '';
  manifests = builtins.mapAttrs (_: fromTOML) {
    "crates/app" = ''
      package = { name = "app", version.workspace = true }
      dependencies = { middle = { path = "../middle" }, serde.workspace = true }
      dev-dependencies = { kit = { path = "../kit" } }
    '';
    "crates/middle" = ''
      package = { name = "middle", version = "9.9.9" }
      [target.'cfg(unix)'.dependencies]
      base.workspace = true
      [build-dependencies]
      renamed.workspace = true
    '';
    "crates/base" = ''package = { name = "base" }'';
    "crates/other" = ''
      package = { name = "other" }
      dependencies = { sqlx = "0.8" }
    '';
  };
  noFiles = {
    mainFile = false;
    binFiles = [ ];
  };
  bins = name: text: files: want: {
    name = "workspace: programs of ${name}";
    got = cargo.binsOf (fromTOML text) (noFiles // files);
    inherit want;
  };
  closureOf = cargo.closure root manifests;
in
[
  {
    name = "paths: join";
    got = paths.join "crates/bin/api" "../../lib/./store";
    want = "crates/lib/store";
  }
  {
    name = "paths: out of the workspace";
    got = builtins.tryEval (builtins.stringLength (paths.join "crates" "../../x"));
    want = {
      success = false;
      value = false;
    };
  }
  {
    name = "workspace: member patterns";
    got =
      builtins.concatMap
        (cargo.expand (_: [
          "a"
          "b"
        ]))
        [
          "crates/*"
          "tool"
        ];
    want = [
      "crates/a"
      "crates/b"
      "tool"
    ];
  }
  {
    name = "workspace: a pattern that is not understood";
    got = (builtins.tryEval (builtins.length (cargo.expand (_: [ ]) "crates/**/x"))).success;
    want = false;
  }
  (bins "a library" ''package.name = "x"'' { } [ ])
  (bins "src/main.rs" ''package.name = "x"'' { mainFile = true; } [ "x" ])
  (bins "src/bin" ''package.name = "x"''
    {
      mainFile = true;
      binFiles = [ "y" ];
    }
    [
      "x"
      "y"
    ]
  )
  (bins "a renamed main" ''
    package.name = "x"
    bin = [{ name = "z", path = "src/main.rs" }]
  '' { mainFile = true; } [ "z" ])
  (bins "autobins = false" ''package = { name = "x", autobins = false }'' {
    mainFile = true;
    binFiles = [ "y" ];
  } [ ])
  {
    name = "workspace: what a crate is built from, without what its tests need";
    got = closureOf "crates/app";
    want = [
      "crates/app"
      "crates/base"
      "crates/middle"
      "crates/other"
    ];
  }
  {
    name = "workspace: a crate outside is named";
    got =
      (builtins.tryEval (
        builtins.length (cargo.closure root (removeAttrs manifests [ "crates/middle" ]) "crates/app")
      )).success;
    want = false;
  }
  {
    name = "workspace: dependsOn";
    got = map (folder: cargo.dependsOn "sqlx" manifests.${folder}) [
      "crates/app"
      "crates/other"
    ];
    want = [
      false
      true
    ];
  }
  {
    name = "workspace: inherited fields";
    got = map (folder: cargo.field "version" root manifests.${folder}) [
      "crates/app"
      "crates/middle"
      "crates/base"
    ];
    want = [
      "1.2.3"
      "9.9.9"
      null
    ];
  }
  {
    name = "workspace: our programs";
    got = builtins.concatMap (crate: crate.bins) (builtins.attrValues ours.crates);
    want = [
      "slipway"
      "slipway-agent"
      "slipway-api"
      "slipway-backup"
      "slipway-demo-service"
      "slipway-dev"
      "slipway-worker"
    ];
  }
  {
    name = "workspace: the agent is not built from the store";
    got = builtins.elem "crates/lib/store" (cargo.closure ours.root ours.manifests "crates/bin/agent");
    want = false;
  }
]
