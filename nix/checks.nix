# Checks of what is ours alone: Nix files, rendered copies, queries.
{
  pkgs,
  agenix,
  workspace,
  compose,
  kubernetes,
  options,
  mkWorkspace,
  workspaceProblems,
  contract,
}:
let
  inherit (pkgs) lib;

  # The template is a workspace like any other.
  template = mkWorkspace {
    inherit pkgs;
    src = ../templates/default;
    images = import ../templates/default/images.nix { inherit contract; };
    services = [ "postgres" ];
  };
  nixFiles = lib.fileset.toSource {
    root = ../.;
    fileset = lib.fileset.fileFilter (file: file.hasExt "nix") ../.;
  };
  # The modules' shell scripts are checked where they become programs.
  scripts = lib.fileset.toSource {
    root = ../.;
    fileset = lib.fileset.unions [
      ../dev
      ../.ci/run
      ../.github/scripts
      # Not the workspaces of others.
      (lib.fileset.difference (lib.fileset.fileFilter (file: file.hasExt "sh") ../.) ../tests/workspaces)
    ];
  };
  check =
    name: inputs: script:
    pkgs.runCommand "check-${name}" { nativeBuildInputs = inputs; } ''
      ${script}
      touch $out
    '';
  tests = import ./lib/tests;
in
{
  nix-format = check "nix-format" [ pkgs.nixfmt ] ''
    find ${nixFiles} -name '*.nix' -print0 | xargs -0 nixfmt --check
  '';
  nix-statix = check "nix-statix" [
    pkgs.statix
  ] "statix check --config ${../statix.toml} ${nixFiles}";
  nix-deadnix = check "nix-deadnix" [ pkgs.deadnix ] "deadnix --fail ${nixFiles}";
  # Evaluated here, so a failure shows at once; `./dev test` runs the same without nixpkgs.
  nix-lib =
    assert lib.assertMsg (tests == [ ]) "nix/lib: ${lib.concatStringsSep "\n" tests}";
    check "nix-lib" [ ] "";
  # Evaluated here as well.
  eval =
    let
      wrong = import ../tests/eval {
        inherit
          pkgs
          agenix
          mkWorkspace
          workspaceProblems
          ;
      };
    in
    assert lib.assertMsg (wrong == [ ]) "tests/eval: ${lib.concatStringsSep "\n" wrong}";
    check "eval" [ ] "";
  image-check = import ../tests/images { inherit pkgs; };
  require-ci = import ./require-ci.nix { inherit pkgs; };
  production = import ./production.nix { inherit pkgs agenix; };
  shell-scripts = check "shell-scripts" [ pkgs.shellcheck ] ''
    find ${scripts} -type f -print0 | xargs -0 shellcheck --severity=warning
  '';
  compose = check "compose" [ pkgs.docker-compose ] ''
    set -a; . ${compose}/example.env; set +a
    docker-compose --file ${compose}/docker-compose.prod.yml config --quiet
  '';
  # Only Kubernetes' own kinds: the schemas of routes and monitors are the Gateway API's and an operator's.
  kubernetes = check "kubernetes" [ pkgs.kubernetes-validate ] ''
    for file in ${kubernetes}/*.yaml; do
      case $file in
        */kustomization.yaml | */monitoring.yaml | */routes.yaml) ;;
        *) kubernetes-validate --strict "$file" ;;
      esac
    done
  '';
  deploy-fresh = check "deploy-fresh" [ ] ''
    diff -r --exclude README.md ${compose} ${../deploy/compose} && diff -r --exclude README.md ${kubernetes} ${../deploy/kubernetes} \
      || { echo "deploy/ is not what nix/containers/slipway.nix gives; run: nix run .#render"; exit 1; }
  '';
  # Evaluated here as well.
  options-fresh =
    assert lib.assertMsg options.fresh
      "docs/options.md is not what modules/ declare; run: nix run .#render";
    check "options-fresh" [ ] "";
  sqlx-fresh = workspace.checks.rust-nextest.overrideAttrs (old: {
    pname = "sqlx-fresh";
    nativeBuildInputs = old.nativeBuildInputs ++ [ pkgs.sqlx-cli ];
    buildPhase = "true";
    checkPhase = ''
      runHook preCheck
      cargo sqlx migrate run --source crates/lib/store/migrations
      cargo sqlx prepare --workspace --check -- --all-targets --all-features
      runHook postCheck
    '';
  });
}
// lib.mapAttrs' (name: lib.nameValuePair "template-${name}") template.checks
