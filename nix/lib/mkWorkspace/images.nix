# Images of single programs: a layer for the C library, one for certificates and time zones, one for the program.
{
  lib,
  pkgs,
  nix2container,
  contract,
  packages,
  version,
  revision,
  lastModified,
  source,
  licenses,
  slim,
}:
let
  oci = import ../oci.nix;
  inherit (pkgs) stdenv;
  isGlibc = stdenv.hostPlatform.isGnu && !stdenv.hostPlatform.isStatic;
  inherit (stdenv.cc) libc;
  unwind = lib.getLib (stdenv.cc.cc.libgcc or stdenv.cc.cc);

  # The files of the C library that a Rust program loads, without locales, converters and their 30 MB.
  libcRuntime =
    pkgs.runCommand "libc-runtime"
      {
        nativeBuildInputs = [ pkgs.removeReferencesTo ];
        disallowedReferences = [
          libc
          unwind
        ];
      }
      ''
        mkdir -p $out/lib
        for name in ld-linux\*.so.\* libc.so.6 libm.so.6 libdl.so.2 libpthread.so.0 librt.so.1 libresolv.so.2; do
          cp -L ${lib.getLib libc}/lib/$name $out/lib/
        done
        cp -L ${unwind}/lib/libgcc_s.so.1 $out/lib/
        chmod -R u+w $out/lib
        remove-references-to -t ${lib.getLib libc} -t ${unwind} $out/lib/*
        chmod -R a-w $out/lib
      '';

  # The program alone, linked to the files above.
  slimmed =
    package: bin:
    pkgs.runCommand "${bin}-${version}-slim"
      {
        nativeBuildInputs = [
          pkgs.patchelf
          pkgs.removeReferencesTo
        ];
        disallowedReferences = [ package ];
        disallowedRequisites = [ libc ];
        meta.mainProgram = bin;
      }
      ''
        install -D -m 0755 ${package}/bin/${bin} $out/bin/${bin}
        loader=$(basename "$(patchelf --print-interpreter $out/bin/${bin})")
        patchelf --set-interpreter ${libcRuntime}/lib/$loader --set-rpath ${libcRuntime}/lib $out/bin/${bin}
        remove-references-to -t ${lib.getLib libc} -t ${unwind} $out/bin/${bin}
        ${lib.optionalString (stdenv.buildPlatform.canExecute stdenv.hostPlatform) ''
          # Fails when the program needs a library that is not there.
          ${libcRuntime}/lib/$loader --list $out/bin/${bin}
        ''}
      '';

  # What programs look for outside the store. Names and hosts are looked up as on any Linux machine.
  root = pkgs.runCommand "image-root" { } ''
    mkdir -p $out/etc/ssl/certs $out/usr/share
    cp -L ${pkgs.cacert}/etc/ssl/certs/ca-bundle.crt $out/etc/ssl/certs/ca-certificates.crt
    cp -rL ${pkgs.tzdata}/share/zoneinfo $out/usr/share/zoneinfo
    chmod -R u+w $out/usr/share/zoneinfo
    rm -rf $out/usr/share/zoneinfo/{posix,right}
    echo 'hosts: files dns' > $out/etc/nsswitch.conf
    echo '${contract.user.name}:x:${toString contract.user.uid}:${toString contract.user.gid}::/:/nonexistent' > $out/etc/passwd
    echo '${contract.user.name}:x:${toString contract.user.gid}:' > $out/etc/group
  '';

  useSlim = isGlibc && slim;

  layers =
    lib.optional useSlim (
      nix2container.buildLayer {
        deps = [ libcRuntime ];
        metadata.created_by = "C library";
      }
    )
    ++ lib.optional (isGlibc && !slim) (
      nix2container.buildLayer {
        deps = [
          libc
          unwind
        ];
        metadata.created_by = "C library";
      }
    )
    ++ [
      (nix2container.buildLayer {
        copyToRoot = root;
        metadata.created_by = "certificates and time zones";
      })
    ];

  packageOf =
    bin: lib.findFirst (package: lib.elem bin package.crate.bins) null (lib.attrValues packages);

  build =
    output: image:
    let
      inherit (image) bin;
      package = packageOf bin;
      # A path that does not change with every build, for health checks that are written down elsewhere.
      program = "/bin/${bin}";
      link = pkgs.runCommand "${bin}-${version}-link" { } ''
        mkdir -p $out/bin
        ln -s ${if useSlim then slimmed package bin else package}/bin/${bin} $out/bin/${bin}
      '';
      config = oci.config {
        inherit contract program;
        args = image.args or [ ];
        test = image.healthcheck or null;
        ports = image.ports or [ ];
        env = {
          SSL_CERT_FILE = "/etc/ssl/certs/ca-certificates.crt";
        }
        // image.env or { };
        labels =
          oci.labels {
            title = image.name or bin;
            inherit
              version
              lastModified
              licenses
              source
              revision
              ;
            description = package.meta.description or null;
          }
          // image.labels or { };
      };
    in
    (nix2container.buildImage {
      inherit config layers;
      copyToRoot = link;
      name = image.name or bin;
      tag = version;
      arch = stdenv.hostPlatform.go.GOARCH;
      created = oci.rfc3339 lastModified;
      meta.description = "Image of ${bin}";
    })
    // {
      inherit config output;
      # The uppermost layer; the others change with nixpkgs alone.
      layer = link;
      maxMiB = image.maxMiB or 20;
    };
in
{
  inherit root libcRuntime;
  images = lib.mapAttrs build;
}
