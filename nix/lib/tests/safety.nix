# What a build must never do: run what a name holds. That it reads no passwords is shown by tests/eval/workspaces.nix.
let
  cargo = import ../cargo/workspace.nix;
  selections = import ../cargo/selection.nix;
  views = import ../cargo/view.nix;

  view = views.ofSet {
    "api/Cargo.toml" = "[package]\nname = \"x\"\n[[bin]]\nname = \"a'$(b)'\"\npath = \"src/main.rs\"";
    "api/src/main.rs" = "";
  };
  workspace = cargo.read view "api";
  case = name: got: want: {
    name = "safety: ${name}";
    inherit got want;
  };
in
[
  (case "a shell takes a name as it stands" (selections.of { inherit workspace; }).builds.x.targets
    "--bin 'a'\\''$(b)'\\'''"
  )
]
