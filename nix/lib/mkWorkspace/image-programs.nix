# Programs as images hold them, and the C library that they are linked to.
{ lib, pkgs }:
let
  inherit (pkgs) stdenv;
  inherit (pkgs.buildPackages)
    patchelf
    removeReferencesTo
    runCommand
    writeClosure
    ;
  inherit (stdenv.cc) libc;
  unwind = lib.getLib (stdenv.cc.cc.libgcc or stdenv.cc.cc);
  # Libraries of the compiler that a crate with C++ in it needs.
  compiler = lib.getLib stdenv.cc.cc;
  compilerLibraries =
    compiler
    + lib.optionalString (stdenv.buildPlatform != stdenv.hostPlatform) "/${stdenv.hostPlatform.config}"
    + "/lib";

  # The files of the C library that a Rust program loads, without locales, converters and their 30 MB.
  libcRuntime =
    runCommand "libc-runtime"
      {
        nativeBuildInputs = [ removeReferencesTo ];
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
in
{
  inherit libcRuntime;

  # With other libraries a program needs the C library that these were linked to, whole.
  isSlim =
    package:
    stdenv.hostPlatform.isGnu && !stdenv.hostPlatform.isStatic && package.buildInputs or [ ] == [ ];

  # The program alone, linked to the files above.
  slimmed =
    package: bin:
    runCommand "${bin}-${package.version}-slim"
      {
        nativeBuildInputs = [
          patchelf
          removeReferencesTo
        ];
        disallowedReferences = [
          package
          libc
        ];
        meta.mainProgram = bin;
      }
      ''
        install -D -m 0755 ${package}/bin/${bin} $out/bin/${bin}
        # A static program has no loader.
        if loader=$(patchelf --print-interpreter $out/bin/${bin}); then
          loader=$(basename "$loader")
          rpath=${libcRuntime}/lib
          for name in $(patchelf --print-needed $out/bin/${bin}); do
            if [ -e ${libcRuntime}/lib/$name ]; then
              continue
            elif [ -e ${compilerLibraries}/$name ]; then
              mkdir -p $out/lib
              cp -L ${compilerLibraries}/$name $out/lib/
              chmod u+w $out/lib/$name
              patchelf --set-rpath ${libcRuntime}/lib:$out/lib $out/lib/$name
              remove-references-to -t ${lib.getLib libc} -t ${unwind} -t ${compiler} $out/lib/$name
              rpath=${libcRuntime}/lib:$out/lib
            else
              echo "${bin} loads $name, which is not of the C library: name its package in \`buildInputs\`" >&2
              exit 1
            fi
          done
          patchelf --set-interpreter ${libcRuntime}/lib/$loader --set-rpath $rpath $out/bin/${bin}
          ${lib.optionalString (stdenv.buildPlatform.canExecute stdenv.hostPlatform) ''
            # Fails when the program needs a newer C library.
            ${libcRuntime}/lib/$loader --list $out/bin/${bin}
          ''}
        fi
        remove-references-to -t ${lib.getLib libc} -t ${unwind} -t ${compiler} $out/bin/${bin}
      '';

  # What packages need besides themselves, as a file that names it: it stays as it is while their code changes.
  neededBy =
    packages:
    runCommand "needed" { } ''
      grep -vxF ${
        lib.escapeShellArg (lib.concatMapStringsSep "\n" toString packages)
      } ${writeClosure packages} > $out || true
    '';
}
