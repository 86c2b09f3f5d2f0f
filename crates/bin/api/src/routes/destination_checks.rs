//! What a destination of messages must have, and must not.

use secrecy::SecretString;
use slipway_domain::message::address;
use slipway_domain::{DestinationKind, EnvironmentName};
use slipway_settings::is_address;
use slipway_store::messages::{Access, NewDestination};
use slipway_wire::access::TOKEN_PREFIX;
use slipway_wire::message::{
    Confidential, CreateDestination, MAX_RECIPIENT_CHARS, MAX_RECIPIENTS, MAX_ROOM_CHARS,
};

use crate::auth::RequestContext;
use crate::error::{ApiError, Result};
use crate::state::Shared;

/// The most bytes of a token.
const MAX_TOKEN_BYTES: usize = 500;

/// What the request asks for, and the secret to show once. `signing` signs what goes to a webhook.
pub(super) fn read(
    app: &Shared,
    request: &CreateDestination,
    signing: Confidential,
) -> Result<(NewDestination, Option<Confidential>)> {
    refuse_what_others_have(request)?;
    let secret = |text: &Confidential| SecretString::from(text.expose().to_owned());
    let (access, shown, signing) = match request.kind {
        DestinationKind::Standard => {
            let (url, shown) = url(app, request)?;
            let access = Access::Standard {
                url,
                secret: secret(&signing),
            };
            (access, shown, Some(signing))
        }
        DestinationKind::Slack => {
            let (url, shown) = url(app, request)?;
            (Access::Slack { url }, shown, None)
        }
        DestinationKind::Matrix => {
            let (url, shown) = url(app, request)?;
            let room = request.room.clone().unwrap_or_default();
            let is_room = room.starts_with('!')
                && room.len() <= MAX_ROOM_CHARS
                && room.bytes().all(|byte| byte.is_ascii_graphic());
            if !is_room {
                let detail =
                    "is no room's id; give one such as !abc:example.org, which the room's settings show";
                return Err(ApiError::field("room", detail));
            }
            let token = request.token.as_ref().ok_or_else(|| {
                ApiError::field(
                    "token",
                    "is missing; give the access token of the account that writes",
                )
            })?;
            let is_token = (1..=MAX_TOKEN_BYTES).contains(&token.expose().len())
                && token.expose().bytes().all(|byte| byte.is_ascii_graphic());
            if token.expose().starts_with(TOKEN_PREFIX) {
                let detail = "is a token of this control plane; give the access token of the Matrix account that writes";
                return Err(ApiError::field("token", detail));
            }
            if !is_token {
                let detail =
                    format!("has other characters than visible ASCII, or more than {MAX_TOKEN_BYTES}");
                return Err(ApiError::field("token", detail));
            }
            let token = secret(token);
            (Access::Matrix { url, room, token }, shown, None)
        }
        DestinationKind::Email => {
            check_recipients(app, request.kind, &request.recipients)?;
            let recipients = request.recipients.clone();
            (Access::Email { recipients }, String::new(), None)
        }
    };
    let new = NewDestination {
        name: request.name.clone(),
        access,
        shown,
        environments: request.environments.clone(),
        messages: request.messages.clone(),
    };
    Ok((new, signing))
}

/// Fields that another kind of destination has: they would mean nothing here.
fn refuse_what_others_have(request: &CreateDestination) -> Result<()> {
    let kind = request.kind;
    let given = [
        ("url", request.url.is_some(), kind != DestinationKind::Email),
        ("room", request.room.is_some(), kind == DestinationKind::Matrix),
        ("token", request.token.is_some(), kind == DestinationKind::Matrix),
        (
            "recipients",
            !request.recipients.is_empty(),
            kind == DestinationKind::Email,
        ),
    ];
    match given.into_iter().find(|(_, given, takes)| *given && !takes) {
        Some((field, ..)) => {
            let detail = format!("means nothing for a destination of kind {kind}; leave it out");
            Err(ApiError::field(field, detail))
        }
        None => Ok(()),
    }
}

/// The address, and what of it may be shown. What is wrong is told without it.
fn url(app: &Shared, request: &CreateDestination) -> Result<(SecretString, String)> {
    let text = request.url.as_ref().ok_or_else(|| {
        ApiError::field(
            "url",
            "is missing; give an address such as https://hooks.example.org/slipway",
        )
    })?;
    let networks = &app.message_networks;
    let url = address::parse(text.expose(), !networks.is_empty(), |address| {
        networks.contains(address)
    })
    .map_err(|error| ApiError::field("url", address::explain(text.expose(), error)))?;
    let is_matrix = request.kind == DestinationKind::Matrix;
    if is_matrix && url.query().is_some() {
        return Err(ApiError::field(
            "url",
            "has a part after ?; give the server's address alone",
        ));
    }
    Ok((SecretString::from(text.expose().to_owned()), address::shown(&url)))
}

/// Recipients of e-mail: some, no more than there may be, each an address, and a server to send it.
pub(super) fn check_recipients(app: &Shared, kind: DestinationKind, recipients: &[String]) -> Result<()> {
    let field = |detail: String| Err(ApiError::field("recipients", detail));
    if kind != DestinationKind::Email {
        return field(format!(
            "means nothing for a destination of kind {kind}; leave it out"
        ));
    }
    if !(1..=MAX_RECIPIENTS).contains(&recipients.len()) {
        return field(format!("give 1 to {MAX_RECIPIENTS} addresses"));
    }
    if let Some(bad) = recipients
        .iter()
        .find(|recipient| recipient.len() > MAX_RECIPIENT_CHARS || !is_address(recipient))
    {
        return field(format!(
            "`{bad}` is no address of e-mail; give one such as ops@example.org"
        ));
    }
    if !app.sends_mail {
        return field("nobody sends e-mail; set SMTP_HOST and SMTP_FROM of api and worker first".to_owned());
    }
    Ok(())
}

/// A filter by an environment that is not there would let nothing through.
pub(super) async fn check_environments(app: &RequestContext, names: &[EnvironmentName]) -> Result<()> {
    for name in names {
        if app.store.find_environment_by_name(name).await?.is_none() {
            let detail =
                format!("there is no environment `{name}`; `slipway env list` shows those that there are");
            return Err(ApiError::field("environments", detail));
        }
    }
    Ok(())
}
