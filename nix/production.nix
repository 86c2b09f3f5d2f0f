# The steps of docs/production.md that make keys and secrets, run as they are written with the real agenix, OpenSSH,
# OpenSSL and Nix. crates/bin/dev/tests/production.rs runs the page's other commands.
{ pkgs, agenix }:
pkgs.runCommand "check-production"
  {
    nativeBuildInputs = [
      agenix.packages.${pkgs.stdenv.hostPlatform.system}.default
      pkgs.age
      pkgs.gitMinimal
      pkgs.jq
      pkgs.nix
      pkgs.openssh
      pkgs.openssl
    ];
    page = ../docs/production.md;
    fleet = ../hosts/prod;
    rules = ../secrets/secrets.nix;
  }
  ''
    export HOME=$PWD/home NIX_STATE_DIR=$PWD/nix NIX_STORE_DIR=$PWD/nix/store
    export NIX_CONFIG="experimental-features = nix-command flakes"
    mkdir -p "$HOME/.ssh" flake && cd flake
    ssh-keygen -q -t ed25519 -N "" -f "$HOME/.ssh/id_ed25519"

    # block LANGUAGE FROM TO: the blocks between two headings of the page, without their list's indentation.
    block() {
      awk -v open="^ *\`\`\`$1\$" -v from="$2" -v to="$3" '
        seen && index($0, to) { exit }
        index($0, from) { seen = 1 }
        inside && /^ *```$/ { inside = 0; next }
        inside { print substr($0, indent) }
        seen && $0 ~ open { inside = 1; indent = match($0, /[^ ]/) }
      ' "$page"
    }
    run() {
      block sh "$1" "$2" > "$NIX_BUILD_TOP/block.sh"
      [ -s "$NIX_BUILD_TOP/block.sh" ] || { echo "docs/production.md has no commands after $1"; exit 1; }
      grep -v 'nix develop' "$NIX_BUILD_TOP/block.sh" > "$NIX_BUILD_TOP/run.sh"
      printf 'AWS_ACCESS_KEY_ID=a\n' | bash -euo pipefail "$NIX_BUILD_TOP/run.sh"
    }
    opens() {
      agenix -d "$1" > "$NIX_BUILD_TOP/clear" && [ -s "$NIX_BUILD_TOP/clear" ] \
        || { echo "the operator cannot open $1"; exit 1; }
      [ -z "''${2-}" ] || age --decrypt --identity "$2" "$1" | cmp - "$NIX_BUILD_TOP/clear" \
        || { echo "the host cannot open $1"; exit 1; }
    }

    run '**The flake.**' '**The disks.**'
    run "**The host's key.**" '**Secrets.**'
    block nix '**Secrets.**' 'The first seals the audit log' > secrets/secrets.nix
    run '**Secrets.**' '**The domain.**'
    run '**The cache.**' '**Installing.**'
    for file in secret-key admin-password restic-password cache-read; do
      (cd secrets && opens "$file.age" ../extra/etc/ssh/ssh_host_ed25519_key)
    done
    (cd secrets && agenix -r)
    [ "$(nix key convert-secret-to-public < cache.key)" = "$(cat cache.pub)" ]

    # The fleet, with the files that its first step copies and the keys that its second makes.
    mkdir -p secrets/prod && cp -r --no-preserve=mode "$fleet" hosts/prod && cp --no-preserve=mode "$rules" secrets/secrets.nix
    run '2. **Keys.**' '3. **Secrets.**'
    for host in edge app-1 app-2 db; do
      key=$(cut -d ' ' -f 1,2 < "extra/$host/etc/ssh/ssh_host_ed25519_key.pub")
      sed -i "s|^    $host = \".*\";|    $host = \"$key\";|" secrets/secrets.nix
    done
    sed -i "s|operators = \[.*\];|operators = [ \"$(cut -d ' ' -f 1,2 < "$HOME/.ssh/id_ed25519.pub")\" ];|" secrets/secrets.nix
    block nix '2. **Keys.**' '3. **Secrets.**' | sed 's|^{$|// {|' > more.nix
    # In addition to the file's own content, as the page says.
    head -n -1 secrets/secrets.nix > rules.nix && printf '// ofHost "db"\n' >> rules.nix && cat more.nix >> rules.nix
    mv rules.nix secrets/secrets.nix
    rm -f secrets/*.age
    run '3. **Secrets.**' '4. **Installing.**'
    for host in edge app-1 app-2 db; do
      (cd secrets && opens "prod/$host-key.age" "../extra/$host/etc/ssh/ssh_host_ed25519_key")
      openssl verify -CAfile hosts/prod/certificates/authority.pem "hosts/prod/certificates/$host.pem"
    done
    (cd secrets && opens prod/slipway-database-url.age "../extra/app-1/etc/ssh/ssh_host_ed25519_key" && grep -q verify-full "$NIX_BUILD_TOP/clear")
    (cd secrets && opens prod/slipway-database-owner-url.age "../extra/app-1/etc/ssh/ssh_host_ed25519_key" && grep -q slipway-owner: "$NIX_BUILD_TOP/clear")
    for file in slipway-database-password slipway-database-owner-password; do
      (cd secrets && opens "prod/$file.age" "../extra/db/etc/ssh/ssh_host_ed25519_key")
      ! age --decrypt --identity extra/app-1/etc/ssh/ssh_host_ed25519_key "secrets/prod/$file.age" \
        || { echo "an app host can open $file"; exit 1; }
    done
    touch $out
  ''
