//! What forms send.

use std::convert::Infallible;
use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, Request};
use http::StatusCode;
use http::request::Parts;
use http_body_util::{BodyExt, Limited};
use maud::{Markup, html};
use slipway_wire::problem;

use crate::api::{Answer, Refused, invalid, plain};
use crate::ui::{Instead, Ui};
use crate::{Console, session};

/// The most that a form may send, in bytes.
const MAX_FORM_BYTES: usize = 64 * 1024;
/// The session's secret.
const SECRET: &str = "secret";
/// Names the request: the same form sent twice makes one thing.
const ONCE: &str = "once";

/// What is never written into a page again: the secrets that a form asks for, and those of the form itself.
const NEVER_SHOWN: [&str; 5] = [SECRET, ONCE, "token", "password", "url"];

/// The fields of a form, in their order.
#[derive(Debug, Default)]
pub(crate) struct Fields(Vec<(String, String)>);

impl Fields {
    fn read(bytes: &[u8]) -> Self {
        let pairs = url::form_urlencoded::parse(bytes);
        Self(
            pairs
                .map(|(name, value)| (name.into_owned(), value.into_owned()))
                .collect(),
        )
    }

    /// A field's text without the space around it; empty when it was not sent.
    pub(crate) fn text(&self, name: &str) -> &str {
        let mut fields = self.0.iter();
        fields
            .find(|(field, _)| field == name)
            .map_or("", |(_, value)| value.trim())
    }

    /// A field's text as it was typed.
    pub(crate) fn verbatim(&self, name: &str) -> &str {
        let mut fields = self.0.iter();
        fields
            .find(|(field, _)| field == name)
            .map_or("", |(_, value)| value)
    }

    /// A field's text, unless it is empty.
    pub(crate) fn filled(&self, name: &str) -> Option<&str> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }

    /// Whether a box was ticked.
    pub(crate) fn is_on(&self, name: &str) -> bool {
        !self.text(name).is_empty()
    }

    /// A field read as what it must be. `what` says it for people.
    pub(crate) fn parse<T: FromStr<Err: Display>>(&self, name: &str, what: &str) -> Answer<T> {
        let text = self.text(name);
        text.parse().map_err(|error: T::Err| {
            let said = if text.is_empty() {
                format!("{what} is missing")
            } else {
                format!("{what}: {error}")
            };
            invalid(said).at(name)
        })
    }

    /// The same for a field that may be empty.
    pub(crate) fn parse_filled<T: FromStr<Err: Display>>(&self, name: &str, what: &str) -> Answer<Option<T>> {
        let filled = self.filled(name);
        filled.map(|_| self.parse(name, what)).transpose()
    }

    /// The names in a field, each read as what it must be. `what` says one of them for people.
    pub(crate) fn parse_words<T, All>(&self, name: &str, what: &str) -> Answer<All>
    where
        T: FromStr<Err: Display>,
        All: FromIterator<T>,
    {
        parse_each(words(self.text(name)), what).map_err(|refused| refused.at(name))
    }

    /// The same with one field more.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.0.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The fields that may be shown again, and the names of those that were filled and may not.
    fn shown_again(self) -> (Self, Vec<String>) {
        let fields = self.0.into_iter();
        let (withheld, kept): (Vec<_>, _) =
            fields.partition(|(name, _)| NEVER_SHOWN.contains(&name.as_str()));
        let withheld = withheld.into_iter().filter(|(_, value)| !value.is_empty());
        (Self(kept), withheld.map(|(name, _)| name).collect())
    }

    /// The key that names the request.
    pub(crate) fn once(&self) -> Option<&str> {
        self.filled(ONCE)
    }
}

/// The fields of a query.
impl<S: Sync> FromRequestParts<S> for Fields {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::read(parts.uri.query().unwrap_or_default().as_bytes()))
    }
}

/// A form that comes back to whoever sent it.
pub(crate) struct Typed {
    /// What was typed, without secrets.
    pub(crate) fields: Fields,
    /// The fields that were filled and are empty again.
    pub(crate) withheld: Vec<String>,
    /// Why it was refused; nothing when it only asked for another look.
    pub(crate) problem: Option<Refused>,
}

impl Typed {
    pub(crate) fn new(fields: Fields, problem: Option<Refused>) -> Self {
        let (fields, withheld) = fields.shown_again();
        Self {
            fields,
            withheld,
            problem,
        }
    }
}

/// Reads each word as what it must be. `what` says one of them for people.
pub(crate) fn parse_each<'a, T, All>(words: impl Iterator<Item = &'a str>, what: &str) -> Answer<All>
where
    T: FromStr<Err: Display>,
    All: FromIterator<T>,
{
    let read = words.map(|word| {
        let read = word.parse();
        read.map_err(|error| invalid(format!("{what} `{word}`: {error}")))
    });
    read.collect()
}

/// The words of a field for several names, between spaces or commas.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split([' ', ',']).filter(|word| !word.is_empty())
}

/// A form of somebody who is signed in, sent by a page of this session.
pub(crate) struct Sent {
    pub(crate) ui: Ui,
    pub(crate) fields: Fields,
}

impl FromRequest<Arc<Console>> for Sent {
    type Rejection = Instead;

    async fn from_request(request: Request, console: &Arc<Console>) -> Result<Self, Instead> {
        let (mut parts, body) = request.into_parts();
        let ui = Ui::from_request_parts(&mut parts, console).await?;
        let fields = read(body).await?;
        if !session::is_form_secret(&ui.token, fields.text(SECRET)) {
            return Err(plain(
                problem::kind::FORBIDDEN,
                StatusCode::FORBIDDEN,
                "this form is of another session; go back, load the page again, and send it anew",
            )
            .into());
        }
        Ok(Self { ui, fields })
    }
}

/// Reads the body of a form.
pub(crate) async fn read(body: axum::body::Body) -> Answer<Fields> {
    let whole = Limited::new(body, MAX_FORM_BYTES).collect().await.map_err(|_| {
        plain(
            problem::kind::TOO_LARGE,
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the form is longer than {MAX_FORM_BYTES} bytes, or was cut short"),
        )
    })?;
    Ok(Fields::read(&whole.to_bytes()))
}

/// The hidden fields of every form.
pub(crate) fn hidden(ui: &Ui) -> Markup {
    html! {
        input type="hidden" name=(SECRET) value=(ui.form_secret());
        input type="hidden" name=(ONCE) value=(once());
    }
}

/// For password managers: whose the secret of the form is. It is not shown.
pub(crate) fn account(name: &str) -> Markup {
    html! { input type="text" name="username" value=(name) autocomplete="username" tabindex="-1" hidden; }
}

/// A name for one request. What must not be guessed about a form is its secret, not this.
fn once() -> String {
    uuid::Uuid::now_v7().simple().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_browsers_write_them() {
        let fields = Fields::read(b"reason=+too+slow+%26+old+&box=on&empty=&reason=second");
        assert_eq!(fields.text("reason"), "too slow & old");
        assert_eq!(fields.verbatim("reason"), " too slow & old ");
        assert!(fields.is_on("box") && !fields.is_on("empty") && !fields.is_on("none"));
        assert_eq!(fields.filled("empty"), None);
        let refused = fields.parse::<u32>("box", "The number").unwrap_err();
        assert!(refused.detail.starts_with("The number: "), "{}", refused.detail);
    }
}
