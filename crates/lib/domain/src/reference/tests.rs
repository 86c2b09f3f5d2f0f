use proptest::prelude::*;

use super::*;

fn release(text: &str) -> Option<ReleaseRef> {
    text.parse().ok()
}

#[test]
fn each_text_means_one_thing() {
    let prod = || Some("prod".parse().unwrap());
    let id = "01a2298f-2f67-712a-951f-86e7cdf30c05";
    for (text, meant) in [
        (id, Reference::Id(id.parse().unwrap())),
        ("12", Reference::Number(12)),
        ("#12", Reference::Number(12)),
        ("1795993579", Reference::Number(1_795_993_579)),
        ("latest", Reference::Latest(None)),
        ("latest@prod", Reference::Latest(prod())),
        ("previous", Reference::Previous(None)),
        ("previous@prod", Reference::Previous(prod())),
        ("v1.4.0", Reference::Name("v1.4.0".parse().unwrap())),
        ("1.4.0", Reference::Name("1.4.0".parse().unwrap())),
        ("2026-11-30", Reference::Name("2026-11-30".parse().unwrap())),
        ("add", Reference::Name("add".parse().unwrap())),
    ] {
        assert_eq!(release(text), Some(meant), "{text}");
    }
    for text in [
        "01a2",
        "0193",
        "01a2298f-2f67",
        "01A2298F2F67",
        "12345678-",
        "deadbeef",
    ] {
        assert!(matches!(release(text), Some(Reference::Beginning(_))), "{text}");
    }
    for text in [
        "",
        "#",
        "#0",
        "0",
        "012",
        "#01a2",
        "latest@",
        "latest@Prod",
        "newest@prod",
        "v1@prod",
        "V1",
        "-v1",
        "v1/2",
        "ä",
        "../v1",
    ] {
        assert_eq!(release(text), None, "{text}");
    }
}

#[test]
fn a_rollout_has_no_name_and_says_so() {
    let error = "v1.4.0".parse::<RolloutRef>().unwrap_err().to_string();
    assert!(
        error.starts_with("`v1.4.0` is no rollout: give its number such as 12, 4"),
        "{error}"
    );
    let error = "V1".parse::<ReleaseRef>().unwrap_err().to_string();
    assert!(error.contains("such as 12, its name, 4 or more"), "{error}");
}

#[test]
fn a_name_that_says_something_else_is_refused() {
    for taken in ["12", "0012", "007", "beef", "01a2298f-2f67", "latest", "previous"] {
        let error = taken.parse::<ReleaseName>().unwrap_err();
        assert!(matches!(error, ReleaseNameError::Taken(_)), "{taken}: {error}");
    }
    for wrong in ["", "V1", "v 1", "v1@prod", "#v1", &"x".repeat(64)] {
        let error = wrong.parse::<ReleaseName>().unwrap_err();
        assert!(matches!(error, ReleaseNameError::Form(_)), "{wrong}: {error}");
    }
}

#[test]
fn json_takes_a_number_as_such() {
    let read = |json: &str| serde_json::from_str::<ReleaseRef>(json);
    assert_eq!(read("12").unwrap(), Reference::Number(12));
    assert_eq!(read("\"#12\"").unwrap(), Reference::Number(12));
    assert!(read("0").is_err());
    assert!(read("-1").is_err());
    assert!(read("null").is_err());
    assert_eq!(serde_json::to_string(&ReleaseRef::Number(12)).unwrap(), "\"12\"");
}

fn environment() -> impl Strategy<Value = Option<EnvironmentName>> {
    proptest::option::of("[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?".prop_map(|name| name.parse().unwrap()))
}

fn any_reference() -> impl Strategy<Value = ReleaseRef> {
    prop_oneof![
        any::<u128>().prop_map(|id| Reference::Id(ReleaseId::from_uuid(Uuid::from_u128(id)))),
        (1..=i64::MAX.unsigned_abs()).prop_map(Reference::Number),
        "[0-9a-f]{4,31}".prop_filter_map("it is a number", |text| {
            release(&text).filter(|found| matches!(found, Reference::Beginning(_)))
        }),
        environment().prop_map(Reference::Latest),
        environment().prop_map(Reference::Previous),
        "[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?".prop_filter_map("it says something else", |text| text
            .parse()
            .ok()
            .map(Reference::Name)),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(meant in any_reference()) {
        let text = meant.to_string();
        prop_assert!(text.len() <= MAX_REFERENCE);
        prop_assert_eq!(release(&text), Some(meant.clone()));
        // It needs no escaping in a path.
        prop_assert!(text.bytes().all(|c| c.is_ascii_alphanumeric() || b"-._@".contains(&c)));
        let json = serde_json::to_string(&meant).unwrap();
        prop_assert_eq!(serde_json::from_str::<ReleaseRef>(&json).unwrap(), meant);
    }

    #[test]
    fn no_text_breaks_it_and_no_name_shadows_another_form(text in "[#0-9a-fA-F@.lv-]{0,40}|.{0,80}") {
        let found = release(&text);
        if text.parse::<ReleaseName>().is_ok() {
            prop_assert!(matches!(found, Some(Reference::Name(_))), "{:?}", found);
        }
        if let Some(found) = found {
            prop_assert_eq!(release(&found.to_string()), Some(found));
        }
    }

    #[test]
    fn a_beginning_takes_in_the_ids_that_begin_so_and_no_other(id in any::<u128>(), other in any::<u128>(), digits in 4_usize..=31) {
        let id = Uuid::from_u128(id);
        let beginning: IdBeginning = id.simple().to_string()[..digits].parse().unwrap();
        let (low, high) = beginning.range();
        prop_assert!(low <= id && id <= high);
        prop_assert!(id.to_string().starts_with(&beginning.to_string()));
        let other = Uuid::from_u128(other);
        let begins = other.to_string().starts_with(&beginning.to_string());
        prop_assert_eq!(low <= other && other <= high, begins);
    }
}
