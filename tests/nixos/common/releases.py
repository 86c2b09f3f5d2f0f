# After join.py: what `slipway` and the machine say of releases.
import json

names = ["next", "broken", "unhealthy"]
closures = {name: machine.succeed(f"readlink -e /run/current-system/specialisation/{name}").strip() for name in names}


def start(name, settings, options=""):
    """Starts a rollout of the named system; the exit status, and what was said."""
    released = machine.succeed(f"slipway --json release create --closure machine={closures[name]} -m {name}")
    sets = " ".join(f"--set {setting}" for setting in settings)
    return machine.execute(f"slipway rollout start prod {json.loads(released)['id']} {sets} {options} 2>&1", timeout=600)


def live():
    return machine.succeed("readlink -e /run/current-system").strip()


def boot_default():
    return machine.succeed("readlink -e /nix/var/nix/profiles/system").strip()


def settled():
    machine.wait_until_succeeds("slipway --json host show machine | jq -e '.online and .unsettled == null'", timeout=120)
