# What single crates need besides: completions of the command line, and what ./dev starts.
pkgs: {
  slipway = {
    nativeBuildInputs = [ pkgs.installShellFiles ];
    postInstall = pkgs.lib.optionalString (pkgs.stdenv.buildPlatform.canExecute pkgs.stdenv.hostPlatform) ''
      for shell in bash fish zsh; do
        $out/bin/slipway completions $shell > slipway.$shell
      done
      installShellCompletion slipway.{bash,fish,zsh}
    '';
  };
}
