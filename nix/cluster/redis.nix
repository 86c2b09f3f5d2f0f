# Redis on several hosts: a primary, its replicas, and a Sentinel on every member that agrees with the others who the
# primary is. Only builtins, so that the committed copies in deploy/cluster/ are checked on any machine.
#
#   members  by name, { address, redisPort ? …, sentinelPort ? … }. The first by name is the first primary.
#   group    a primary and its replicas: { name, port, maxMemoryMiB, policy, denied }. `denied` are commands that clients
#            may not use. Sentinel and clients call the primary by the group's name.
#   tls      paths on the host: { certificate, key, authority }. Each end shows its certificate, so it must be for both.
#
# Passwords are not in here: redis-prepare.sh puts them in place of @NAME@ and @NAME.sha256@ when a process starts.
let
  inherit (builtins)
    attrNames
    attrValues
    concatLists
    concatStringsSep
    elem
    filter
    head
    isBool
    isList
    length
    map
    replaceStrings
    ;
  contract = import ../contract.nix;
  timings = {
    # A primary that does not answer for so long is down. Shorter, and a busy host would be taken for a dead one.
    downAfterMs = 3000;
    # Of one try. Sentinels that vote for different ones try again after twice this, so the second try ends within 15 s.
    failoverMs = 4000;
    # Longer than Sentinel's whole first try: a primary that was killed comes back as a replica of the one with the data.
    restartSeconds = 6;
    # A replica that says nothing for so long does not count for `min-replicas-to-write`.
    replicaSilentSeconds = 5;
  };
  # Of Sentinel and the replicas. Stacks are the user `default`.
  user = "slipway-cluster";
  # For an exporter, without a password: counters only.
  watcher = "telemetry";

  upper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  lowered = "abcdefghijklmnopqrstuvwxyz";
  letters = text: filter (letter: letter != "" && letter != [ ]) (builtins.split "" text);
  lower = replaceStrings (letters upper) (letters lowered);

  redisPort = group: member: member.redisPort or group.port;
  sentinelPort = member: member.sentinelPort or contract.ports.sentinel;
  firstOf = members: head (attrValues members);
  at = address: port: "${address} ${toString port}";
  quorum = members: length (attrNames members) / 2 + 1;

  listener = tls: member: port: {
    bind = member.address;
    port = 0;
    tls-port = port;
    tls-cert-file = toString tls.certificate;
    tls-key-file = toString tls.key;
    tls-ca-cert-file = toString tls.authority;
    # Members show a certificate. Stacks have only a password: a certificate of this authority would open more to them.
    tls-auth-clients = "optional";
    # A replica's way to its primary, and a Sentinel's to everybody.
    tls-replication = true;
    tls-protocols = "\"TLSv1.2 TLSv1.3\"";
  };

  # Where all members have the same clients, and a process alone in a terminal or a unit writes to its output.
  alone = {
    daemonize = false;
    logfile = "\"\"";
  };

  # Settings of one member's redis-server.
  server =
    {
      group,
      member,
      tls,
    }:
    listener tls member (redisPort group member)
    // {
      replica-announce-ip = member.address;
      replica-announce-port = redisPort group member;
      # Whoever is cut off from all its replicas takes no writes. So of two primaries only one does. The price: with one
      # member left of three there are no writes either; Slipway goes on as without Redis.
      min-replicas-to-write = 1;
      min-replicas-max-lag = timings.replicaSilentSeconds;
      # A new replica need not wait for others to come.
      repl-diskless-sync-delay = 0;
      masteruser = user;
    };

  # With what a host without NixOS needs as well; on NixOS services.redis has it.
  wholeServer =
    {
      group,
      member,
      tls,
      folder,
    }:
    server { inherit group member tls; }
    // alone
    // {
      dir = folder;
      save = "\"\"";
      appendonly = false;
      maxmemory = "${toString group.maxMemoryMiB}mb";
      maxmemory-policy = group.policy;
      user = "${watcher} on nopass nocommands +info +slowlog|len +latency|latest";
    };

  # Who may do what in it. The passwords are `stack` and `cluster`.
  serverSecrets = group: [
    (concatStringsSep " " (
      [
        "user default on #@stack.sha256@ ~* &* +@all -@admin +role -publish"
      ]
      ++ map (command: "-${lower command}") group.denied
      # Sentinels believe what they hear at __sentinel__:hello: a captured stack could name itself as the primary there, and
      # Sentinel would log in to it with the cluster's password. Of two underscores and an s nobody but members may speak.
      ++ (
        if elem "publish" (map lower group.denied) then [ ] else [ "(+publish &[^_]* &_[^_]* &__[^s]*)" ]
      )
    ))
    # What Redis' documentation lists for Sentinel, and for a replica.
    (
      "user ${user} on #@cluster.sha256@ &* nocommands +multi +exec +ping +info +role +subscribe +publish +slaveof +replicaof "
      + "+config|rewrite +client|setname +client|kill +script|kill +psync +replconf"
    )
    "masterauth @cluster@"
  ];

  sentinel =
    {
      groups,
      members,
      member,
      tls,
      folder,
    }:
    let
      of =
        group:
        let
          name = group.name;
          primary = firstOf members;
        in
        [
          "monitor ${name} ${at primary.address (redisPort group primary)} ${toString (quorum members)}"
          "down-after-milliseconds ${name} ${toString timings.downAfterMs}"
          "failover-timeout ${name} ${toString timings.failoverMs}"
          # The data is small, and a replica that copies it serves nobody.
          "parallel-syncs ${name} ${toString (length (attrNames members))}"
          "auth-user ${name} ${user}"
        ];
    in
    listener tls member (sentinelPort member)
    // alone
    // {
      dir = folder;
      sentinel = [
        "announce-ip ${member.address}"
        "announce-port ${toString (sentinelPort member)}"
        "sentinel-user ${user}"
        # Whoever knows the password must not make Sentinel run a program.
        "deny-scripts-reconfig yes"
      ]
      ++ concatLists (map of groups);
      user = "${watcher} on nopass nocommands +ping +info +sentinel|masters +sentinel|sentinels +sentinel|replicas +sentinel|slaves +sentinel|ckquorum";
    };

  # The passwords are `cluster`, and a stack's by the name of its group. All stacks are one user with several.
  sentinelSecrets =
    groups:
    [
      (
        "user default on nocommands &* "
        + concatStringsSep " " (map (group: "#@${group.name}.sha256@") groups)
        + " +auth +hello +ping +role +info +subscribe +unsubscribe +client|setname +client|id"
        + " +sentinel|get-master-addr-by-name +sentinel|master +sentinel|masters +sentinel|sentinels"
        + " +sentinel|replicas +sentinel|slaves"
      )
      "user ${user} on #@cluster.sha256@ ~* &* +@all"
      "sentinel sentinel-pass @cluster@"
    ]
    ++ map (group: "sentinel auth-pass ${group.name} @cluster@") groups;

  servers =
    members: group: map (one: "--member=${at one.address (redisPort group one)}") (attrValues members);
  sentinels =
    members: map (one: "--sentinel=${at one.address (sentinelPort one)}") (attrValues members);

  # What redis-prepare.sh is called with, before `--secret NAME=FILE` for each password.
  prepare = {
    server =
      {
        group,
        members,
        member,
        tls,
        state,
      }:
      [
        "server"
        "--state=${state}"
        "--group=${group.name}"
        "--self=${at member.address (redisPort group member)}"
        "--tls-certificate=${toString tls.certificate}"
        "--tls-key=${toString tls.key}"
        "--tls-authority=${toString tls.authority}"
      ]
      ++ servers members group
      ++ sentinels members;
    sentinel =
      {
        groups,
        members,
        state,
      }:
      [
        "sentinel"
        "--state=${state}"
      ]
      ++ concatLists (map (servers members) groups)
      ++ sentinels members;
  };

  lines = list: concatStringsSep "" (map (line: "${line}\n") list);
  say = value: if isBool value then (if value then "yes" else "no") else toString value;
  text =
    settings:
    lines (
      concatLists (
        map (
          name:
          let
            value = settings.${name};
          in
          map (one: "${name} ${say one}") (if isList value then value else [ value ])
        ) (attrNames settings)
      )
    );
in
{
  inherit
    lines
    prepare
    quorum
    sentinel
    sentinelSecrets
    server
    serverSecrets
    text
    timings
    user
    watcher
    wholeServer
    ;
}
