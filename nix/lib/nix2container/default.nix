# nix2container as it is pinned, with its own nixpkgs, but that images keep their health check: see
# docs/decisions/0006-nix2container-nixpkgs.md.
{ nix2container, system }:
let
  pkgs = nix2container.inputs.nixpkgs.legacyPackages.${system};

  # Stops when upstream has changed there, such as when it keeps the health check itself.
  withHealthcheck =
    src:
    pkgs.applyPatches {
      name = "nix2container-source";
      inherit src;
      postPatch = ''
        substituteInPlace types/types.go --replace-fail 'ImageConfig v1.ImageConfig' 'ImageConfig ImageConfig'
        substituteInPlace cmd/image.go \
          --replace-fail 'var imageConfig v1.ImageConfig' 'var imageConfig types.ImageConfig' \
          --replace-fail 'v1 "github.com/opencontainers/image-spec/specs-go/v1"' ""
        substituteInPlace nix/image.go \
          --replace-fail 'imageV1.Config = image.ImageConfig' 'imageV1.Config = image.ImageConfig.ImageConfig' \
          --replace-fail 'json.Marshal(imageV1)' \
            'json.Marshal(types.ImageWithHealthcheck{Image: imageV1, Config: image.ImageConfig})'
        cp ${./healthcheck.go} types/healthcheck.go
        cp ${./healthcheck_test.go} nix/healthcheck_test.go
      '';
    };
in
(import nix2container {
  pkgs = pkgs // {
    buildGoModule = args: pkgs.buildGoModule (args // { src = withHealthcheck args.src; });
  };
}).nix2container
