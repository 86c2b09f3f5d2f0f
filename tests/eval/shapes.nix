# Services of any shape on a host: where they listen, when they are ready, and what stands in for them. Others ask whether
# they still work.
{
  host,
  says,
  standIn,
  lib,
  ...
}:
let
  at = "services.slipway.stacks.shop.services.web";
  alone = web: {
    services.slipway.stacks.shop = {
      database.enable = false;
      cache.enable = false;
      backup.enable = false;
      proxy.enable = false;
      services.web = lib.mkMerge [
        { package = standIn "web"; }
        web
      ];
    };
  };
  of = web: host [ (alone web) ];
  refused =
    name: words: web:
    says name ([ at ] ++ words) [ (alone web) ];

  tcp = of {
    replicas = 2;
    listen.port = 3000;
    health = {
      # A text is a path.
      ready = "/ready";
      live.command = [
        "web"
        "check"
      ];
      intervalSeconds = 7;
      timeoutSeconds = 2;
      retries = 4;
    };
    stateDirectory = true;
    rolling = "stand-in";
    environment.LEVEL = "info";
    serviceConfig = {
      ExecStartPost = "/bin/own";
      MemoryDenyWriteExecute = false;
    };
  };
  replica = tcp.systemd.services.shop-web-2;
  watcher = tcp.systemd.services.shop-web-2-live;
  # A command without the folder of its program, and without quotes.
  lastWords =
    command:
    let
      words = lib.splitString " " (lib.replaceStrings [ "\"" ] [ "" ] command);
      isProgram = lib.hasPrefix builtins.storeDir;
      shown = word: if isProgram word then baseNameOf word else word;
    in
    lib.concatMapStringsSep " " shown (if isProgram (lib.head words) then lib.tail words else words);
  posts =
    unit:
    let
      asked = unit.serviceConfig.ExecStartPost or [ ];
    in
    map lastWords asked;

  unix = of {
    listen = {
      type = "unix";
      variable = "LISTEN";
    };
    socketGroup = "nginx";
  };
  folder = "/run/slipway-sockets/shop/web-1";
in
[
  {
    name = "a start of a program that says nothing lasts until its health is good, beside the stack's own commands";
    got = map lastWords replica.serviceConfig.ExecStartPost;
    want = [
      "wait 2 http 127.0.0.1:3001 /ready"
      "/bin/own"
    ];
  }
  {
    name = "a connection is enough where nothing else is said";
    got = map (web: posts (of web).systemd.services.shop-web-1) [
      { listen.port = 3000; }
      { listen.type = "unix"; }
      { listen.type = "socket"; }
      { }
      {
        listen.port = 3000;
        type = "notify";
      }
    ];
    want = [
      [ "wait 10 tcp 127.0.0.1:3000" ]
      [ "wait 10 tcp unix:${folder}/socket" ]
      [ ]
      [ ]
      [ ]
    ];
  }
  {
    name = "the stand-in has an address of its own, which no number of replicas moves";
    got =
      map
        (
          replicas:
          let
            config = of {
              inherit replicas;
              listen.port = 3000;
            };
            trial = config.systemd.services.shop-web-trial;
          in
          [
            config.services.slipway.stacks.shop.services.web.standIn
            trial.environment.PORT
            (posts trial)
          ]
        )
        [
          1
          9
        ];
    want = lib.replicate 2 [
      "127.0.0.1:2999"
      "2999"
      [ "wait 10 tcp 127.0.0.1:2999" ]
    ];
  }
  {
    name = "no stand-in beside one that keeps files, stops, or has no replicas";
    got = map (web: (of ({ listen.port = 3000; } // web)).systemd.services ? shop-web-trial) [
      { stateDirectory = true; }
      { rolling = "stop"; }
      { replicas = 0; }
      { }
    ];
    want = [
      false
      false
      false
      true
    ];
  }
  {
    name = "a roll ends the stand-ins however it ends";
    got = lib.last (lib.splitString "/" tcp.systemd.services.shop-roll.serviceConfig.ExecStopPost);
    want = "systemctl --no-block stop shop-web-trial.service";
  }
  {
    name = "what asks a replica begins and ends with it, has its rights, and restarts it as root";
    got = {
      inherit (watcher)
        bindsTo
        partOf
        requisite
        restartIfChanged
        ;
      inherit (watcher.serviceConfig)
        User
        MemoryDenyWriteExecute
        Restart
        Type
        ;
      inherit (watcher.unitConfig) JoinsNamespaceOf;
      asks = lastWords watcher.serviceConfig.ExecStart;
      files = watcher.serviceConfig ? StateDirectory;
      after = lib.elem "shop-web-2.service" watcher.after;
      wanted = lib.elem "shop-web-2-live.service" replica.wants;
      # A changed question is a changed replica.
      triggers = map lastWords replica.restartTriggers;
      level = watcher.environment.LEVEL;
      root = lib.hasPrefix "+" watcher.serviceConfig.ExecStopPost;
      own = watcher.serviceConfig ? ExecStartPost;
    };
    want = {
      # It would start the replica, too.
      bindsTo = [ ];
      partOf = [
        "shop-web-2.service"
        "shop.target"
      ];
      requisite = [ "shop-web-2.service" ];
      restartIfChanged = false;
      User = "shop";
      MemoryDenyWriteExecute = false;
      Restart = "on-abnormal";
      Type = "exec";
      JoinsNamespaceOf = "shop-web-2.service";
      asks = "watch 2 7 4 command web check";
      files = false;
      after = true;
      wanted = true;
      triggers = [ "watch 2 7 4 command web check" ];
      level = "info";
      root = true;
      own = false;
    };
  }
  {
    name = "a service with a watchdog is not asked as well, nor one without a question";
    got = map (web: (of ({ listen.port = 3000; } // web)).systemd.services ? shop-web-1-live) [
      {
        type = "notify";
        watchdogSeconds = 30;
        health.live.tcp = true;
      }
      { }
      { health.live.tcp = true; }
    ];
    want = [
      false
      false
      true
    ];
  }
  {
    name = "a socket of the program's own is for its user and the proxy's group, and none is left by a crash";
    got = {
      inherit (unix.services.slipway.stacks.shop.services.web) addresses standIn;
      folders = lib.mapAttrs (_: made: { inherit (made.d) user group mode; }) (
        unix.systemd.tmpfiles.settings."10-slipway-shop-web"
      );
      variable = unix.systemd.services.shop-web-1.environment.LISTEN;
      inherit (unix.systemd.services.shop-web-1.serviceConfig) ReadWritePaths UMask;
      before = map lastWords unix.systemd.services.shop-web-1.serviceConfig.ExecStartPre;
      none = tcp.systemd.tmpfiles.settings ? "10-slipway-shop-web";
    };
    want = {
      addresses = [ "unix:${folder}/socket" ];
      standIn = "unix:/run/slipway-sockets/shop/web-trial/socket";
      folders =
        lib.genAttrs
          [
            folder
            "/run/slipway-sockets/shop/web-trial"
          ]
          (_: {
            user = "shop";
            group = "nginx";
            mode = "2710";
          });
      variable = "${folder}/socket";
      ReadWritePaths = [ folder ];
      UMask = "0007";
      before = [ "-f ${folder}/socket" ];
      none = false;
    };
  }
  {
    name = "a roll waits as long as its processes may take, and for the last requests of a stand-in";
    got = map (web: (of web).services.slipway.stacks.shop.rollSeconds) [
      {
        listen.port = 3000;
        startSeconds = 10;
        stopSeconds = 5;
      }
      {
        startSeconds = 10;
        stopSeconds = 5;
      }
    ];
    want = [
      31
      30
    ];
  }
  (refused "a stand-in that nobody knows to be ready"
    [
      ".rolling is stand-in"
      "set health.ready, or rolling = \"stop\""
    ]
    {
      listen.port = 3000;
      health.ready = null;
    }
  )
  (refused "one place for several processes"
    [
      ".listen.variable is null"
      "replicas = 1 and rolling"
    ]
    {
      listen = {
        port = 3000;
        variable = null;
      };
    }
  )
  (refused "a port that only root may open" [
    ".listen.port is 1024"
    "begin at 1023"
    "1025"
  ] { listen.port = 1024; })
  (refused "ports beyond the last one"
    [
      ".listen.port (65533 to 65537)"
      "such as at 65531"
    ]
    {
      listen.port = 65534;
      replicas = 4;
    }
  )
  (refused "ports of metrics beyond the last one" [ ".metrics.port (65534 to 65537)" ] {
    metrics.port = 65534;
    replicas = 4;
  })
  (refused "a port that the proxy cannot reach"
    [
      ".listen.type is tcp"
      "localhost"
    ]
    {
      listen.port = 3000;
      allowedAddresses = [ "10.0.0.0/24" ];
    }
  )
  {
    name = "a question to nowhere is left to our own sentence: its units evaluate";
    got =
      let
        unit = (of { health.ready = "/ready"; }).systemd.services.shop-web-1;
      in
      (builtins.tryEval (builtins.deepSeq unit.serviceConfig.ExecStartPost true)).success;
    want = true;
  }
  (refused "a question that every socket answers"
    [
      ".health.ready.tcp proves nothing"
      "http or command"
    ]
    {
      listen.type = "socket";
      health.ready.tcp = true;
    }
  )
  (refused "the same for a living one" [ ".health.live.tcp proves nothing" ] {
    listen.type = "socket";
    health.live.tcp = true;
  })
  (refused "a program of no package"
    [
      ".health.live.command"
      "give the program's path"
    ]
    {
      package = lib.mkForce null;
      command = [ "/bin/web" ];
      health.live.command = [ "web" ];
    }
  )
  (refused "a variable that no program would get"
    [
      ''the variables "MY LEVEL"''
      "letters, digits and `_`"
    ]
    {
      environment."MY LEVEL" = "info";
    }
  )
  (refused "a port in a variable that there cannot be"
    [
      ''the variables "2PORT"''
      "no digit first"
    ]
    {
      listen.port = 3000;
      listen.variable = "2PORT";
    }
  )
  (refused "a secret that no variable can name"
    [
      ''.secrets or secrets has "tls-key"''
      "a variable names each file"
    ]
    {
      secrets.tls-key = "/run/secrets/key";
    }
  )
  (refused "a secret that is no file"
    [
      ''.secrets or secrets has "../key"''
      "`_`, `.` and `-`"
    ]
    {
      secretFiles = false;
      secrets."../key" = "/run/secrets/key";
    }
  )
  (refused "a secret whose path is two words for the rolling restart"
    [
      ''.secrets or secrets names "/run/my secrets/key"''
      "without spaces"
    ]
    {
      secrets.KEY = "/run/my secrets/key";
    }
  )
  (refused "a name where only addresses count"
    [
      ''.allowedAddresses or allowedAddresses has "db.example.net", "10.0.0.0/33"''
      "for names take any"
    ]
    {
      allowedAddresses = [
        "localhost"
        "10.0.0.0/24"
        "fd00::/8"
        "db.example.net"
        "10.0.0.0/33"
      ];
    }
  )
  (refused "a folder that systemd would leave out"
    [
      ''.writablePaths has "uploads"''
      "the whole path from / on"
    ]
    {
      writablePaths = [
        "uploads"
        "/srv/shop"
      ];
    }
  )
  (refused "two folders for one" [ ''.readablePaths has "/home/my media"'' ] {
    readablePaths = [ "/home/my media" ];
  })
]
