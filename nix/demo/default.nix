# The closures of a demo fleet, one for each entry of a JSON list (`fleet` is the list's absolute path).
# No nixpkgs and no network: the machine's own shell and tools build them.
{ fleet }: map (import ./closure.nix) (builtins.fromJSON (builtins.readFile fleet))
