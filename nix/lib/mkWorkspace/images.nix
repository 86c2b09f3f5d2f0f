# Images of programs: a layer for the C library, one for certificates and time zones, one for `contents` if there are
# any, one for the programs. What changes more often lies above what changes less often.
{
  lib,
  pkgs,
  nix2container,
  contract,
  packages,
  revision,
  lastModified,
  source,
}:
let
  oci = import ../oci.nix;
  contents = import ./image-contents.nix { inherit lib pkgs contract; };
  programs = import ./image-programs.nix { inherit lib pkgs; };
  inherit (pkgs.stdenv) hostPlatform;
  inherit (pkgs.buildPackages) cacert runCommand tzdata;

  # What programs look for outside the store. Names and hosts are looked up as on any Linux machine.
  rootWith =
    hasTmp:
    let
      accounts = contents.accounts contract.user;
    in
    runCommand "image-root" { } ''
      mkdir -p $out/etc/ssl/certs $out/usr/share ${lib.optionalString hasTmp "$out/tmp"}
      cp -L ${cacert}/etc/ssl/certs/ca-bundle.crt $out/etc/ssl/certs/ca-certificates.crt
      cp -rL ${tzdata}/share/zoneinfo $out/usr/share/zoneinfo
      chmod -R u+w $out/usr/share/zoneinfo
      rm -rf $out/usr/share/zoneinfo/{posix,right}
      echo 'hosts: files dns' > $out/etc/nsswitch.conf
      echo '${accounts.passwd}' > $out/etc/passwd
      echo '${accounts.group}' > $out/etc/group
    '';

  layer =
    created_by: lower: args:
    lower
    ++ [
      (nix2container.buildLayer (
        {
          layers = lower;
          metadata = { inherit created_by; };
        }
        // args
      ))
    ];

  build =
    image:
    let
      bins = image.bins or [ image.bin ];
      makerOf =
        bin:
        let
          makers = lib.filter (package: lib.elem bin package.crate.bins) (lib.attrValues packages);
        in
        lib.findFirst (package: package.crate.name == image.crate or null) (lib.head makers) makers;
      makers = lib.unique (map makerOf bins);
      # The image says of itself what the crate of its first program says.
      main = lib.head makers;

      isSlim = lib.all programs.isSlim makers;
      # A path that does not change with every build, for health checks that are written down elsewhere.
      pathOf = bin: "/bin/${bin}";
      # Without the version: nix2container takes the store path for a pattern, in which a `+` means something else.
      link = runCommand "${lib.head bins}-link" { } ''
        mkdir -p $out/bin
        ${lib.concatMapStrings (
          bin:
          "ln -s ${
            if isSlim then programs.slimmed (makerOf bin) bin else makerOf bin
          }/bin/${bin} $out/bin/${bin}\n"
        ) bins}
      '';

      user = contents.userOf image;
      more = contents.of {
        inherit image user;
        programs = map pathOf bins;
      };

      ofLibraries =
        if isSlim then
          layer "C library" [ ] { deps = [ programs.libcRuntime ]; }
        else if hostPlatform.isStatic then
          [ ]
        else
          let
            needed = programs.neededBy makers;
          in
          layer "C library and others" [ ] {
            deps = [ needed ];
            ignore = needed;
          };
      hasTmp = contents.hasTmp image;
      root = rootWith hasTmp;
      ofData = layer "certificates and time zones" ofLibraries {
        copyToRoot = root;
        perms = lib.optionals hasTmp (contents.tmpPerms root);
      };
      ofContents =
        if more == null then
          ofData
        else
          layer "contents" ofData {
            copyToRoot = more.tree;
            inherit (more) perms;
          };
      layers = layer "program" ofContents { copyToRoot = link; };

      entrypoint =
        let
          given = image.entrypoint or [ (lib.head bins) ];
          first = lib.head given;
        in
        [ (if lib.elem first bins then pathOf first else first) ] ++ lib.tail given;

      config = oci.config {
        inherit contract entrypoint user;
        # Of several programs, and behind one that starts another, the one to ask is the one that runs.
        program =
          if lib.elem (lib.head entrypoint) (map pathOf bins) then
            lib.head entrypoint
          else
            pathOf (lib.head bins);
        args = image.args or [ ];
        test = image.healthcheck or null;
        ports = image.ports or [ ];
        workingDir = image.workingDir or "/";
        stopSignal = image.stopSignal or contract.stopSignal;
        env = {
          SSL_CERT_FILE = "/etc/ssl/certs/ca-certificates.crt";
        }
        // image.env or { };
        labels =
          oci.labels {
            title = baseNameOf (image.name or (lib.head bins));
            inherit (main) version;
            inherit lastModified revision;
            inherit (main.crate) description;
            licenses = main.crate.license;
            source = if source == null then main.crate.repository else source;
          }
          // image.labels or { };
      };

      arch = hostPlatform.go.GOARCH;
    in
    (nix2container.buildImage {
      inherit arch config layers;
      name = image.name or (oci.nameOf (lib.head bins));
      tag = image.tag or (oci.tagOf main.version);
      created = oci.rfc3339 lastModified;
      meta.description = "Image of ${lib.concatStringsSep " and " bins}";
    })
    // {
      inherit
        arch
        bins
        config
        ;
      # The uppermost layer; the others change with nixpkgs and `contents` alone.
      layer = link;
      files = contents.wanted image;
      allow = image.allow or [ ];
      maxMiB = image.maxMiB or null;
    };
in
{
  images = lib.mapAttrs (_: build);
}
