# lib.compose and lib.kubernetes: a stack as the files that run it without NixOS. Their other arguments are those of
# compose.nix and kubernetes.nix.
#
#   compose { pkgs, name, stack, … } -> a folder; its `files` are the texts by name, `objects` what is in them, and
#     `problems` the sentences that it would throw
#   kubernetes { pkgs, name, stack, … } -> the same
let
  rendering =
    kind: render: placeOf:
    { pkgs, ... }@arguments:
    let
      inherit (pkgs) lib;
      rendered = render (removeAttrs arguments [ "pkgs" ] // { inherit lib; });
      parts =
        lib.mapAttrs (path: pkgs.writeText (baseNameOf path)) rendered.files
        // placeOf lib pkgs rendered.statics;
    in
    # Copies: what runs it has no Nix store.
    pkgs.runCommand "${arguments.name}-${kind}"
      {
        passthru = {
          inherit (rendered)
            config
            files
            objects
            problems
            ;
        };
      }
      ''
        ${import ../lib/static-check.nix { inherit lib; } "" rendered.config.domains}
        cp --recursive --dereference --no-preserve=mode ${pkgs.linkFarm "parts" parts} $out
      '';
  under = lib: folder: lib.mapAttrs' (key: lib.nameValuePair "${folder}/${key}");
in
{
  compose = rendering "compose" (import ./compose.nix) (
    lib: _: statics:
    under lib "static" statics
  );
  kubernetes = rendering "kubernetes" (import ./kubernetes.nix) (
    lib: pkgs: statics:
    lib.optionalAttrs (statics != { }) (
      under lib "proxy-image/static" statics
      // {
        "proxy-image/Containerfile" = pkgs.writeText "Containerfile" ''
          FROM docker.io/nginxinc/nginx-unprivileged:1.29
          COPY static /srv/static
        '';
      }
    )
  );
}
