# The steps of docs/production.md from a control plane that is up to an agent that is online.
machine.wait_for_unit("slipway.target")
machine.wait_until_succeeds("curl -sf --cacert $SLIPWAY_CA_FILE $SLIPWAY_URL/api/v1/monitoring/ready", timeout=120)
machine.succeed(
    "nix-store --generate-binary-cache-key release-1 /etc/nix/release-key.secret /etc/nix/release-key.public",
    'echo "extra-trusted-public-keys = $(cat /etc/nix/release-key.public)" > /etc/nix/release-key.conf',
    "nix --extra-experimental-features nix-command store sign --key-file /etc/nix/release-key.secret --recursive /run/current-system",
)
machine.succeed("slipway login --password-stdin < /var/lib/secrets/admin")
machine.succeed("slipway env create prod --set canary=1")
machine.succeed("slipway host create machine --env prod --token-out /var/lib/secrets/agent-token")
machine.succeed("systemctl restart slipway-agent.service")
machine.wait_until_succeeds("slipway --json host show machine | jq -e .online", timeout=120)
