use slipway_testkit::thread_cpu_time;

use super::*;

const CYCLONE: &str = r#"{
    "bomFormat": "CycloneDX", "specVersion": "1.6", "unknown": [[["x"]]],
    "metadata": { "component": { "bom-ref": "root", "name": "shop", "version": "7" } },
    "components": [
        { "bom-ref": "b", "name": "openssl", "version": "3.0.1", "purl": "pkg:nix/openssl@3.0.1", "licenses": [] },
        { "name": "curl", "components": [{ "bom-ref": "z", "group": "net", "name": "zlib", "version": "" }] }
    ],
    "vulnerabilities": [
        { "id": "CVE-2026-1", "ratings": [{ "severity": "medium" }, { "severity": "critical" }],
          "affects": [{ "ref": "b" }, { "ref": "urn:cdx:0aa/1#z" }, { "ref": "urn:other" }] },
        { "id": "CVE-2026-2", "recommendation": "Upgrade it" },
        { "id": "CVE-2026-3", "ratings": [{ "score": 8.2, "method": "CVSSv31" }, { "score": 1, "method": "other" }],
          "affects": [{ "ref": "root" }], "analysis": { "state": "not_affected" } }
    ]
}"#;

fn components(text: &str) -> Vec<Component> {
    read(text).unwrap().1
}

/// The format of a report, and what it says of each vulnerability.
fn report(text: &str) -> (String, Vec<String>) {
    let (format, all) = read::<Vulnerability>(text).unwrap();
    let words = all.into_iter().map(|one| {
        let part = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        let (component, fixed_in, state) = (part(one.component), part(one.fixed_in), part(one.state));
        let dismissed = if one.dismissed { ", dismissed" } else { "" };
        format!(
            "{} {} in {component}, mended in {fixed_in}, {state}{dismissed}",
            one.severity, one.id
        )
    });
    (format, words.collect())
}

#[test]
fn cyclonedx_has_components_within_components_and_what_is_known_of_them() {
    assert_eq!(read::<Component>(CYCLONE).unwrap().0, "CycloneDX 1.6");
    let parts: Vec<_> = components(CYCLONE)
        .into_iter()
        .map(|one| (one.name, one.version))
        .collect();
    let expected = [("curl", None), ("net/zlib", None), ("openssl", Some("3.0.1"))]
        .map(|(name, version)| (name.to_owned(), version.map(str::to_owned)));
    assert_eq!(parts, expected);
    let (format, found) = report(CYCLONE);
    assert_eq!(format, "CycloneDX 1.6");
    assert_eq!(
        found,
        [
            "critical CVE-2026-1 in net/zlib, mended in -, -",
            "critical CVE-2026-1 in openssl 3.0.1, mended in -, -",
            "critical CVE-2026-1 in urn:other, mended in -, -",
            "unknown CVE-2026-2 in -, mended in -, Upgrade it",
            "high CVE-2026-3 in shop 7, mended in -, not affected, dismissed",
        ]
    );
    let new = new_attachment(AttachmentKind::Vulnerabilities, CYCLONE.to_owned()).unwrap();
    let counts: Vec<u32> = new.severities.iter().map(|one| one.vulnerabilities).collect();
    assert_eq!((counts, new.dismissed, new.entries), (vec![3, 0, 0, 0, 1], 1, 5));
}

#[test]
fn spdx_has_packages_with_their_urls() {
    let text = r#"{ "spdxVersion": "SPDX-2.3", "packages": [{ "name": "zlib", "versionInfo": "1.3",
        "externalRefs": [{ "referenceType": "cpe23Type", "referenceLocator": "cpe:x" },
                         { "referenceType": "purl", "referenceLocator": "pkg:nix/zlib@1.3" }] }] }"#;
    assert_eq!(read::<Component>(text).unwrap().0, "SPDX 2.3");
    assert_eq!(components(text)[0].purl.as_deref(), Some("pkg:nix/zlib@1.3"));
}

#[test]
fn grype_says_in_which_version_something_is_mended_and_what_is_ignored() {
    let found = |id: &str, fix: &str| {
        format!(
            r#"{{ "vulnerability": {{ "id": "{id}", "severity": "Negligible", "fix": {fix}, "cvss": [{{}}],
                "description": "it reads \\u0000" }}, "artifact": {{ "name": "zlib", "version": "1.3" }} }}"#
        )
    };
    let text = format!(
        r#"{{ "matches": [{}, {}], "ignoredMatches": [{}], "descriptor": {{ "name": "grype", "version": "0.90.0" }} }}"#,
        found("CVE-1", r#"{ "versions": ["1.4", "1.5"], "state": "fixed" }"#),
        found("CVE-2", r#"{ "versions": [], "state": "wont-fix" }"#),
        found("CVE-3", r#"{ "versions": null, "state": "" }"#),
    );
    let (format, all) = report(&text);
    assert_eq!(format, "grype 0.90.0");
    assert_eq!(
        all,
        [
            "low CVE-1 in zlib 1.3, mended in 1.4, 1.5, -",
            "low CVE-2 in zlib 1.3, mended in -, will not fix",
            "low CVE-3 in zlib 1.3, mended in -, ignored, dismissed",
        ]
    );
    assert_eq!(report(r#"{"matches": null}"#), ("grype".to_owned(), Vec::new()));
}

#[test]
fn trivy_vulnix_and_cargo_audit_are_read_too() {
    let trivy = r#"{ "SchemaVersion": 2, "ArtifactName": "shop", "Results": [{ "Target": "x", "Vulnerabilities": null },
        { "Vulnerabilities": [{ "VulnerabilityID": "CVE-1", "PkgName": "bash", "InstalledVersion": "5.0",
            "FixedVersion": "5.1", "Severity": "HIGH", "Status": "fixed" },
          { "VulnerabilityID": "CVE-2", "PkgName": "bash", "Severity": "LOW", "Status": "will_not_fix" }] }] }"#;
    assert_eq!(
        report(trivy).1,
        [
            "high CVE-1 in bash, mended in 5.1, -".replace("bash,", "bash 5.0,"),
            "low CVE-2 in bash, mended in -, will not fix".to_owned(),
        ]
    );
    let nothing = r#"{ "SchemaVersion": 2, "ArtifactName": "shop" }"#;
    assert_eq!(report(nothing), ("Trivy".to_owned(), Vec::new()));

    let vulnix = r#"[{ "name": "binutils-2.31.1", "pname": "binutils", "version": "2.31.1",
        "derivation": "/nix/store/x.drv", "affected_by": ["CVE-1"], "whitelisted": ["CVE-2"],
        "cvssv3_basescore": { "CVE-1": 7.8 }, "description": {} }]"#;
    assert_eq!(
        report(vulnix),
        (
            "vulnix".to_owned(),
            vec![
                "high CVE-1 in binutils-2.31.1, mended in -, -".to_owned(),
                "unknown CVE-2 in binutils-2.31.1, mended in -, whitelisted, dismissed".to_owned(),
            ]
        )
    );

    // Of a system without known vulnerabilities it writes this.
    assert_eq!(report("[]"), ("vulnix".to_owned(), Vec::new()));

    let audit = r#"{ "database": {}, "lockfile": { "dependency-count": 3 }, "settings": {},
        "vulnerabilities": { "found": true, "count": 1, "list": [{
            "advisory": { "id": "RUSTSEC-2026-1", "cvss": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H" },
            "versions": { "patched": [">=1.2"], "unaffected": [] }, "package": { "name": "time", "version": "0.1" } }] },
        "warnings": {} }"#;
    assert_eq!(
        report(audit).1,
        ["critical RUSTSEC-2026-1 in time 0.1, mended in >=1.2, -"]
    );
}

#[test]
fn scores_are_those_that_first_publishes_for_its_examples() {
    for (vector, score) in [
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", Some(9.8)),
        ("CVSS:3.0/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", Some(6.1)),
        ("CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:C/C:L/I:L/A:N", Some(6.4)),
        ("CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H", Some(7.8)),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N", Some(0.0)),
        ("CVSS:3.1/AV:N/AC:L", None),
        (
            "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N",
            Some(9.3),
        ),
        // A metric of CVSS 3 is missing, or one that counts only in time is there, which cargo-audit never writes.
        ("CVSS:3.1/AV:N/AC:L/UI:N/S:U/C:H/I:H/A:H", None),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H/E:F", None),
        ("CVSS:4.0/AV:N", None),
        ("CVSS:2.0/AV:N/AC:L/Au:N/C:N/I:N/A:C", None),
        ("AV:N/AC:L/Au:N/C:N/I:N/A:C", None),
        ("", None),
    ] {
        assert_eq!(scanners::base_score(vector), score, "{vector}");
    }
}

#[test]
fn values_are_cut_and_hold_no_character_that_the_database_refuses() {
    let long = "n".repeat(400);
    let text = format!(
        r#"{{"bomFormat": "CycloneDX", "specVersion": "1\u0000.5", "components": [{{"name": "a\u0000{long}"}}]}}"#
    );
    let (format, all) = read::<Component>(&text).unwrap();
    assert_eq!(format, "CycloneDX 1.5");
    assert_eq!(all[0].name, format!("a{}…", "n".repeat(299)));
}

/// A value that thousands of others name is not read to its end for each of them, nor is a name made for each.
#[test]
fn a_long_value_that_many_name_is_read_once() {
    let blank = " ".repeat(4_000_000);
    let took = [1, 10_000].map(|count| {
        let refs = vec![r#"{ "ref": "a" }"#; count].join(",");
        let text = format!(
            r#"{{ "bomFormat": "CycloneDX", "specVersion": "1.6", "components": [{{ "bom-ref": "a", "name": "x", "version": "{blank}" }}],
                "vulnerabilities": [{{ "id": "CVE-1", "affects": [{refs}] }}] }}"#
        );
        let before = thread_cpu_time();
        let said = &report(&text).1[0];
        let took = thread_cpu_time().saturating_sub(before);
        assert!(
            said.starts_with("unknown CVE-1 in x ") && said.len() < 400,
            "{said}"
        );
        took
    });
    // To read it for each would take thousands of times as long.
    assert!(took[1] < took[0] * 20, "{took:?}");
}

#[test]
fn what_is_no_document_is_told_with_its_cure() {
    let deep = format!("{}{}", "[".repeat(2_000_000), "]".repeat(2_000_000));
    let inside = format!(
        r#"{{"bomFormat":"CycloneDX","components":{}{}}}"#,
        r#"[{"name":"a","components":"#.repeat(70),
        "}]".repeat(70)
    );
    let long = format!("{{\"x\": \"{}\"}}", "a".repeat(MAX_DOCUMENT_BYTES));
    let bom = |parts: &str| format!(r#"{{"bomFormat": "CycloneDX", "components": [{parts}]}}"#);
    let objects = bom(vec!["{}"; MAX_OBJECTS].join(",").as_str());
    let parts: Vec<String> = (0..=MAX_ENTRIES)
        .map(|n| format!(r#"{{"name":"{n}"}}"#))
        .collect();
    let parts = bom(&parts.join(","));
    for (text, said) in [
        ("", "cannot be read as JSON"),
        ("<bom/>", "cannot be read as JSON"),
        ("[1]", "bomFormat"),
        (r#"[{ "name": "x" }]"#, "bomFormat"),
        (
            r#"[{ "name": "x", "affected_by": [] }]"#,
            "attach it as one (`vulnerabilities`)",
        ),
        ("{}", "bomFormat"),
        (r#"{"bomFormat": "CycloneDX", "components": 7}"#, "cannot be read"),
        (r#"{"bomFormat": "Other", "components": []}"#, "bomFormat"),
        (r#"{"@context": "x", "@graph": []}"#, "SPDX 2.3"),
        (r#"{"matches": []}"#, "attach it as one (`vulnerabilities`)"),
        (&deep, "more than 64 deep"),
        (&inside, "more than 64 deep"),
        (&long, "attach at most 8388608"),
        (&objects, "more than 400000 objects"),
        (&parts, "more than 20000 components"),
    ] {
        let refused = read::<Component>(text).unwrap_err().to_string();
        assert!(refused.contains(said), "{said}: {refused}");
    }
    for (text, said) in [
        ("[1]", "its entries are not those of `vulnix --json`"),
        ("[{}]", "missing field `name`"),
        (
            r#"[{ "name": "x" }]"#,
            "a `name` and a list `affected_by` (missing field `affected_by`",
        ),
        (r#"[{ "name": "x", "affected_by": "CVE-1" }]"#, "`grype -o json`"),
        (
            r#"[{ "name": "x", "affected_by": [] }, { "id": 1 }]"#,
            "`vulnix --json` or `cargo audit --json`",
        ),
        (r#"[{ "name": "x", "affected_by": ["#, "cannot be read as JSON"),
        ("{}", "cargo audit --json"),
        (r#"{"spdxVersion": "SPDX-2.3"}"#, "grype -o json"),
        (
            r#"{"bomFormat": "CycloneDX"}"#,
            "attach it as a bill of materials (`sbom`)",
        ),
    ] {
        let refused = read::<Vulnerability>(text).unwrap_err().to_string();
        assert!(refused.contains(said), "{said}: {refused}");
    }
    // One short entry for each reference, each of which would take the longest name.
    let affects = vec![r#"{"ref":"r"}"#; 300_000].join(",");
    let name = "n".repeat(5_000);
    let many = format!(
        r#"{{"bomFormat": "CycloneDX", "components": [{{"bom-ref": "r", "name": "{name}"}}],
            "vulnerabilities": [{{"id": "{name}", "affects": [{affects}]}}]}}"#
    );
    assert_eq!(read::<Vulnerability>(&many), Err(Unreadable::TooManyEntries));
    let brackets = "\u{feff}{\"bomFormat\": \"CycloneDX\", \"x\": \"[[[[\\\"[[[[\"}";
    assert!(
        read::<Component>(brackets).is_ok(),
        "brackets in a text are no depth"
    );
}
