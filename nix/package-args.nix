# Extra arguments of single crates: completions and man pages of the command line.
pkgs: {
  slipway = {
    nativeBuildInputs = [ pkgs.installShellFiles ];
    postInstall = pkgs.lib.optionalString (pkgs.stdenv.buildPlatform.canExecute pkgs.stdenv.hostPlatform) ''
      for shell in bash fish zsh; do
        $out/bin/slipway completions $shell > slipway.$shell
      done
      installShellCompletion slipway.{bash,fish,zsh}
      $out/bin/slipway man man
      installManPage man/*
    '';
  };
}
