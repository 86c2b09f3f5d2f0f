# Which features are on in each crate when some are compiled together. The rules are those of "Features" and "Dependency
# Resolution" in the Cargo Book, but for platforms: what one of them asks for counts for all. Only builtins.
let
  inherit (builtins)
    all
    any
    attrNames
    concatMap
    elem
    elemAt
    filter
    genericClosure
    groupBy
    length
    map
    mapAttrs
    match
    ;
  manifests = import ./manifest.nix;
  inherit (import ../lists.nix) optional;

  key = folder: kind: name: {
    key = "${folder}\n${kind}\n${name}";
    inherit folder kind name;
  };
in
{
  # `asked` are features that are asked of a crate, by its folder. => folder -> feature -> whether it is on.
  of =
    {
      workspace,
      folders,
      asked,
    }:
    let
      # The first resolver unites what builds and tests ask for as well.
      resolver =
        workspace.root.workspace.resolver or workspace.root.package.resolver or (
          if
            elem workspace.crates.${workspace.at}.edition or "2015" [
              "2015"
              "2018"
            ]
          then
            "1"
          else
            "2"
        );
      kindsOf =
        folder:
        if resolver != "1" then
          manifests.kinds.normal
        else if elem folder folders then
          manifests.all
        else
          manifests.buildKinds;
      # folder -> name -> what the crate depends on under that name, `local` being the folder if it is one of the workspace.
      dependencies = mapAttrs (
        folder: crate:
        groupBy (dependency: dependency.name) (
          map (
            dependency:
            dependency
            // {
              local =
                if dependency.spec ? path then manifests.folderOf crate.rootFolder folder dependency.spec else null;
            }
          ) (manifests.dependenciesOf (kindsOf folder) crate.rootManifest crate.manifest)
        )
      ) workspace.crates;
      named = folder: name: dependencies.${folder}.${name} or [ ];

      isOptional = { spec, ... }: spec.optional or false;

      # What one word in a list of features turns on; `isUsed` says which optional dependencies are.
      meaning =
        isUsed: folder: word:
        let
          through = match "([^/?]+)([?]?)/(.+)" word;
          part = elemAt through;
          inDependency =
            { local, ... }:
            if local == null then [ (key folder "of" word) ] else [ (key local "feature" (part 2)) ];
        in
        if match "dep:.*" word != null then
          [ (key folder "uses" (builtins.substring 4 (-1) word)) ]
        else if through == null then
          [ (key folder "feature" word) ]
        else if part 1 == "?" then
          if isUsed folder (part 0) then concatMap inDependency (named folder (part 0)) else [ ]
        else
          [ (key folder "uses" (part 0)) ]
          ++ optional (any isOptional (named folder (part 0))) (key folder "feature" (part 0))
          ++ concatMap inDependency (named folder (part 0));

      next =
        isUsed:
        {
          folder,
          kind,
          name,
          ...
        }:
        let
          crate = workspace.crates.${folder};
          features = crate.manifest.features or { };
          use =
            {
              spec,
              local,
              name,
              ...
            }:
            let
              wanted = optional (manifests.hasDefault spec) "default" ++ spec.features or [ ];
            in
            if local == null then
              map (feature: key folder "of" "${name}/${feature}") wanted
            else
              [ (key local "compiled" "") ] ++ map (key local "feature") wanted;
        in
        if !workspace.crates ? ${folder} then
          [ ]
        else if kind == "compiled" then
          map (key folder "uses") (
            filter (name: !all isOptional (named folder name)) (attrNames dependencies.${folder})
          )
        else if kind == "uses" then
          concatMap use (named folder name)
        else if kind == "feature" then
          # An optional dependency is a feature by itself.
          if features ? ${name} then
            concatMap (meaning isUsed folder) features.${name}
          else
            map (_: key folder "uses" name) (named folder name)
        else
          [ ];

      start =
        isUsed:
        concatMap (
          folder: [ (key folder "compiled" "") ] ++ concatMap (meaning isUsed folder) (asked folder)
        ) folders;
      # Words such as "serde?/derive" count once something else uses serde.
      settle =
        known:
        let
          isUsed = folder: name: known ? ${(key folder "uses" name).key};
          found = genericClosure {
            startSet = start isUsed;
            operator = next isUsed;
          };
        in
        if length found == length (attrNames known) then found else settle (groupBy (item: item.key) found);
      on = groupBy (item: item.key) (settle { });
      has =
        folder: kind: name:
        on ? ${(key folder kind name).key};
    in
    folder: feature:
    let
      through = match "([^/]+)/(.+)" feature;
      part = elemAt through;
    in
    if through == null then
      has folder "feature" feature
    else
      any (
        { local, ... }: if local == null then has folder "of" feature else has local "feature" (part 1)
      ) (named folder (part 0));
}
