use chrono::TimeDelta;
use slipway_settings::SettingsSource;

use super::*;

fn oidc(roles: &str, domains: &str) -> Oidc {
    let source = SettingsSource::from_map([
        ("DATABASE_URL", "postgres://nobody@127.0.0.1:1/none"),
        ("SECRET_KEY", &"7f".repeat(32)),
        ("ADMIN_PASSWORD", "a password"),
        ("PUBLIC_URL", "https://ship.example.org/ops/"),
        ("OIDC_ISSUER", "http://127.0.0.1:1"),
        ("OIDC_CLIENT_ID", "slipway"),
        ("OIDC_CLIENT_SECRET", "a secret"),
        ("OIDC_ROLES", roles),
        ("OIDC_DOMAINS", domains),
    ]);
    Oidc::new(&ApiSettings::from_source(&source).unwrap())
        .unwrap()
        .unwrap()
}

fn person(groups: &[&str]) -> Person {
    Person {
        issuer: "https://login.example.org".to_owned(),
        subject: "248".to_owned(),
        email: Some("Anna.Berg@example.org".to_owned()),
        username: None,
        groups: Ok(groups.iter().map(|group| (*group).to_owned()).collect()),
        is_whole: true,
    }
}

fn environments(names: &[&str]) -> Vec<EnvironmentName> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

#[test]
fn the_strongest_role_of_all_groups_counts_everywhere_and_in_each_environment() {
    let oidc = oidc(
        "viewer=all; deployer=dev; approver@prod=lead; deployer@prod=dev; approver@test=lead; admin=root",
        "",
    );
    let known = environments(&["prod", "test"]);
    let granted = |groups: &[&str]| {
        let granted = oidc.grant(&person(groups), &known).unwrap();
        format!("{}{}", granted.role, granted.environment_roles.words())
    };
    assert_eq!(granted(&["all"]), "viewer");
    assert_eq!(granted(&["all", "dev", "unknown"]), "deployer");
    assert_eq!(
        granted(&["dev", "lead"]),
        "deployer, approver in prod, approver in test"
    );
    // Whoever has a role in one environment looks at all of them.
    assert_eq!(granted(&["lead"]), "viewer, approver in prod, approver in test");
    // No environment has less of an admin.
    assert_eq!(granted(&["root", "lead"]), "admin");
    let gone = oidc.grant(&person(&["lead"]), &environments(&["test"])).unwrap();
    assert_eq!(gone.environment_roles.words(), ", approver in test");
}

#[test]
fn whoever_has_no_role_is_told_which_groups_were_found() {
    let oidc = oidc("admin=root", "");
    let told = |groups: &[&str]| match oidc.grant(&person(groups), &[]) {
        Err(words) => words,
        Ok(granted) => panic!("{granted:?}"),
    };
    assert!(told(&[]).contains("in no group"), "{}", told(&[]));
    let two = told(&["a", "\u{202e}b"]);
    assert!(
        two.contains("2 groups") && two.contains("`a`") && two.contains("`\u{fffd}b`"),
        "{two}"
    );
    assert!(two.contains("OIDC_ROLES"), "{two}");
    let many: Vec<String> = (0..10_000).map(|n| format!("group-{n}")).collect();
    let many = told(&many.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(many.contains("10000 groups") && many.len() < 500, "{many}");
    // Groups are compared whole.
    for other in ["Root", "root ", "/root", "roo"] {
        assert!(told(&[other]).contains("none of them"), "{other}");
    }
}

#[test]
fn only_verified_addresses_of_the_domains_are_let_in() {
    let oidc = oidc("admin=root", "example.org");
    assert!(oidc.grant(&person(&["root"]), &[]).is_ok());
    for email in [None, Some("anna@example.org.evil.test"), Some("anna@evil.test")] {
        let stranger = Person {
            email: email.map(str::to_owned),
            ..person(&["root"])
        };
        assert!(oidc.grant(&stranger, &[]).is_err(), "{email:?}");
    }
}

#[test]
fn the_browser_comes_back_below_the_public_address() {
    assert_eq!(
        oidc("admin=root", "").provider.redirect().as_str(),
        "https://ship.example.org/ops/sign-in/oidc"
    );
}

#[test]
fn a_person_is_the_provider_and_its_subject_and_no_name() {
    let anna = person(&[]);
    let id = person_id(&anna);
    let renamed = Person {
        email: Some("anna.holm@example.org".to_owned()),
        ..anna.clone()
    };
    assert_eq!(person_id(&renamed), id);
    let other = Person {
        subject: "249".to_owned(),
        ..anna.clone()
    };
    let elsewhere = Person {
        issuer: "https://login.example.net".to_owned(),
        ..anna.clone()
    };
    // The same text, parted elsewhere.
    let shifted = Person {
        issuer: "https://login.example.org2".to_owned(),
        subject: "48".to_owned(),
        ..anna
    };
    for other in [other, elsewhere, shifted] {
        assert_ne!(person_id(&other), id, "{other:?}");
    }
}

#[test]
fn names_that_people_choose_themselves_are_nobody_elses() {
    let anna = person(&[]);
    let id = person_id(&anna);
    let part = id.as_uuid().simple().to_string()[..8].to_owned();
    let names =
        |person: &Person| -> Vec<String> { names(person, id).iter().map(ToString::to_string).collect() };
    assert_eq!(
        names(&anna)[..2],
        [
            "anna-berg-example-org".to_owned(),
            format!("anna-berg-example-org-{part}")
        ]
    );
    let chosen = |username: &str| {
        names(&Person {
            email: None,
            username: Some(username.to_owned()),
            ..anna.clone()
        })
    };
    assert_eq!(chosen("admin")[0], format!("admin-{part}"));
    assert_eq!(chosen("Ännä <b>")[0], format!("nn-b-{part}"));
    assert_eq!(chosen("世界")[0], format!("person-{part}"));
    let long = chosen(&"x".repeat(200));
    assert!(long[0].len() == 63 && long.len() == 2, "{long:?}");
}

#[test]
fn a_sign_in_is_of_one_browser_and_ends() {
    let key = AuditKey::from_bytes(&[7; 32]);
    let now: Timestamp = "2026-11-30T10:00:00Z".parse().unwrap();
    let attempt = begin(now).unwrap();
    let state = secrets(&key, &attempt).state;
    let tried = |attempt: &str, state: &str, minutes: i64| match resume(
        &key,
        attempt,
        state,
        now + TimeDelta::minutes(minutes),
    ) {
        Ok(_) => "fine".to_owned(),
        Err(ApiError::SignInFailed(words)) => words,
        Err(other) => panic!("{other:?}"),
    };
    assert_eq!(tried(&attempt, &state, 9), "fine");
    assert!(tried(&attempt, &state, 11).contains("longer than 10 minutes"));
    // A browser that gives itself more time, another sign-in, and none.
    let (random, until) = attempt.split_once('.').unwrap();
    let longer = format!("{random}.{}", until.parse::<i64>().unwrap() + 600);
    for (attempt, state) in [
        (longer.as_str(), state.as_str()),
        (&begin(now).unwrap(), &state),
        (&attempt, ""),
        ("", ""),
        (&attempt, &state[..63]),
    ] {
        assert!(
            tried(attempt, state, 0).contains("not begun in this browser"),
            "{attempt}"
        );
    }
    let other = AuditKey::from_bytes(&[8; 32]);
    assert!(
        resume(&other, &attempt, &state, now).is_err(),
        "made with another key"
    );
    let Attempt {
        state,
        nonce,
        verifier,
    } = secrets(&key, &attempt);
    assert!(state != nonce && nonce != verifier && verifier.len() == 64);
}
