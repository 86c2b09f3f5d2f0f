use super::*;

const HASH: &str = "0c5r1m2n3p4q5s6v7w8x9y0z1a2b3c4d";

pub(crate) fn manifest() -> Manifest {
    let entry = |name: &str| HostEntry {
        name: name.parse().unwrap(),
        closure: format!("/nix/store/{HASH}-{name}").parse().unwrap(),
        checks: Digest::of_bytes(b"{}"),
        hooks: None,
    };
    let created = Timestamp::from_timestamp(1_800_000_000, 0).unwrap();
    Manifest {
        format: FORMAT,
        id: ReleaseId::generate(),
        environment: "prod".parse().unwrap(),
        number: 7,
        created,
        expires: created + chrono::TimeDelta::days(1),
        source: Source::default(),
        hosts: vec![entry("web-1"), entry("web-2")],
    }
}

fn json(change: impl FnOnce(&mut serde_json::Value)) -> Vec<u8> {
    let mut value = serde_json::to_value(manifest()).unwrap();
    change(&mut value);
    serde_json::to_vec(&value).unwrap()
}

fn refused(bytes: &[u8]) -> String {
    Manifest::read(bytes).unwrap_err().to_string()
}

#[test]
fn what_was_written_is_read_again() {
    let manifest = manifest();
    assert_eq!(Manifest::read(&manifest.to_bytes().unwrap()).unwrap(), manifest);
}

#[test]
fn every_wrong_form_is_told() {
    let web_1 = "web-1";
    for (bytes, said) in [
        (
            json(|it| it["hosts"][1]["name"] = web_1.into()),
            "names the host web-1 twice",
        ),
        (json(|it| it["hosts"] = serde_json::json!([])), "names no host"),
        (json(|it| it["extra"] = 1.into()), "unknown field `extra`"),
        (
            json(|it| it["hosts"][0]["extra"] = 1.into()),
            "unknown field `extra`",
        ),
        (
            json(|it| it["source"] = serde_json::json!({"commit": "x"})),
            "unknown field `commit`",
        ),
        (json(|it| it["format"] = 2.into()), "has the format 2"),
        (json(|it| it["number"] = 0.into()), "the number 0"),
        (
            json(|it| it["number"] = (MAX_NUMBER + 1).into()),
            "give one from 1",
        ),
        (json(|it| it["number"] = (-1).into()), "cannot be read"),
        (
            json(|it| it["expires"] = it["created"].clone()),
            "not after it was made",
        ),
        (
            json(|it| it["environment"] = "Prod".into()),
            "not a valid environment name",
        ),
        (
            json(|it| it["hosts"][0]["closure"] = "/tmp/x".into()),
            "not a store path",
        ),
        (
            json(|it| it["hosts"][0]["checks"] = "abc".into()),
            "64 hex digits",
        ),
        (
            json(|it| it["source"] = serde_json::json!({"rev": "x".repeat(SOURCE_CHARS + 1)})),
            "source.rev",
        ),
        (b"[]".to_vec(), "cannot be read"),
        (b"{\"format\":1,\"format\":1}".to_vec(), "duplicate field"),
        (Vec::new(), "cut short"),
        (vec![b' '; MAX_BYTES + 1], "are the most"),
    ] {
        let error = refused(&bytes);
        assert!(error.contains(said), "{said}: {error}");
    }
    // A key that is there twice must not mean one thing here and another elsewhere.
    let text = String::from_utf8(json(|_| {})).unwrap();
    let twice = text.replacen("\"number\":7", "\"number\":7,\"number\":8", 1);
    assert!(refused(twice.as_bytes()).contains("duplicate field `number`"));
    let more = format!("{text} {{}}");
    assert!(refused(more.as_bytes()).contains("trailing characters"));
}

#[test]
fn one_cut_short_anywhere_is_refused() {
    let bytes = manifest().to_bytes().unwrap();
    let whole = bytes.len() - "\n".len();
    for end in 0..whole {
        assert!(Manifest::read(&bytes[..end]).is_err(), "{end}");
    }
}

#[test]
fn one_of_five_thousand_hosts_fits() {
    let mut manifest = manifest();
    let one = manifest.hosts[0].clone();
    manifest.hosts = (0..5000)
        .map(|n| HostEntry {
            name: format!("web-{n}").parse().unwrap(),
            closure: format!("/nix/store/{HASH}-nixos-system-web-{n}-26.05.20261129.0123456")
                .parse()
                .unwrap(),
            hooks: Some(one.checks),
            ..one.clone()
        })
        .collect();
    let bytes = manifest.to_bytes().unwrap();
    assert!(bytes.len() < MAX_BYTES, "{}", bytes.len());
    Manifest::read(&bytes).unwrap();
}
