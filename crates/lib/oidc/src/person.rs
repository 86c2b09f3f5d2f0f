//! Who signed in, as the provider tells it.

use openidconnect::AdditionalClaims;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::said;

/// The most groups that are read. Beyond, something is wrong with the provider.
const MAX_GROUPS: usize = 20_000;

/// Somebody whom the provider knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The provider.
    pub issuer: String,
    /// The provider's own name for the person. It never names another one; all other names may.
    pub subject: String,
    /// The address of e-mail, if the provider says that it is the person's.
    pub email: Option<String>,
    /// What the person is called at the provider. People can often choose it themselves.
    pub username: Option<String>,
    /// The groups, each once; or why the provider names none, though it told all that it knows.
    pub groups: Result<Vec<String>, String>,
    /// Whether the provider told all that it knows. An address that is missing all the same is none.
    pub is_whole: bool,
}

/// All claims that `OpenID` Connect itself does not name.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct MoreClaims {
    #[serde(flatten)]
    pub(crate) all: Map<String, Value>,
}

impl AdditionalClaims for MoreClaims {}

/// The groups of a claim, or why it names none; `None` if it is not there.
///
/// Some providers send one group as text in place of a list. Others leave the groups out when there are too many, and say in
/// `_claim_names` where to ask for them.
pub(crate) fn groups(claims: &Map<String, Value>, claim: &str) -> Option<Result<Vec<String>, String>> {
    if let Some(found) = claims.get(claim) {
        return Some(named(found).map_err(|what| {
            format!("the claim `{claim}` {what}; OIDC_GROUPS_CLAIM must name a list of texts")
        }));
    }
    claims.get("_claim_names")?.get(claim)?;
    Some(Err(format!(
        "the provider left the claim `{claim}` out, as there are too many groups for one token; have it send only the groups \
         that are assigned to this application"
    )))
}

/// The groups that a claim's value names, or what is wrong with it.
fn named(found: &Value) -> Result<Vec<String>, String> {
    let mut groups: Vec<String> = match found {
        Value::Null => Vec::new(),
        Value::String(one) => vec![one.clone()],
        Value::Array(all) if all.len() > MAX_GROUPS => {
            return Err(format!("has {} groups, more than {MAX_GROUPS}", all.len()));
        }
        Value::Array(all) => {
            let texts = all.iter().map(|group| group.as_str().map(str::to_owned));
            texts
                .collect::<Option<_>>()
                .ok_or("has something other than text")?
        }
        Value::Object(_) | Value::Bool(_) | Value::Number(_) => return Err("is no list".to_owned()),
    };
    groups.sort_unstable();
    groups.dedup();
    Ok(groups)
}

/// What counts as a name: text with something in it, made fit to be shown.
pub(crate) fn name(text: Option<&str>) -> Option<String> {
    let text = text.map(str::trim).filter(|text| !text.is_empty())?;
    Some(said(text))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(claims: &Value) -> Option<Result<Vec<String>, String>> {
        groups(claims.as_object().unwrap(), "groups")
    }

    #[test]
    fn groups_come_as_a_list_or_as_one_text() {
        let list = ["a".to_owned(), "b".to_owned()];
        assert_eq!(read(&json!({"groups": ["b", "a", "b"]})), Some(Ok(list.to_vec())));
        assert_eq!(read(&json!({"groups": "a"})), Some(Ok(vec!["a".to_owned()])));
        assert_eq!(read(&json!({"groups": []})), Some(Ok(Vec::new())));
        assert_eq!(read(&json!({"groups": null})), Some(Ok(Vec::new())));
        assert_eq!(read(&json!({"roles": ["a"]})), None);
    }

    #[test]
    fn what_is_no_list_of_texts_is_told() {
        for (claims, told) in [
            (json!({"groups": {"a": 1}}), "is no list"),
            (json!({"groups": true}), "is no list"),
            (json!({"groups": ["a", 1]}), "something other than text"),
            (json!({"groups": vec!["g"; MAX_GROUPS + 1]}), "has 20001 groups"),
            (
                json!({"_claim_names": {"groups": "src1"}}),
                "too many groups for one token",
            ),
        ] {
            let why = read(&claims).unwrap().unwrap_err();
            assert!(why.contains(told), "{why}");
        }
    }

    #[test]
    fn names_are_fit_to_be_shown() {
        assert_eq!(
            name(Some(" anna@example.org ")).as_deref(),
            Some("anna@example.org")
        );
        assert_eq!(name(Some("\u{202e}anna")).as_deref(), Some("\u{fffd}anna"));
        assert_eq!(name(Some("  ")), None);
        assert!(name(Some(&"x".repeat(500))).unwrap().chars().count() <= 201);
    }
}
