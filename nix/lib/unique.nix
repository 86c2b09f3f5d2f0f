# Each text of a list once, in order. Only builtins.
list: builtins.attrNames (builtins.groupBy (it: it) list)
