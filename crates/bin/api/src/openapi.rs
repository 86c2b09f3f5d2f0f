//! The `OpenAPI` document, made from the handlers and completed from the table of routes.

mod bounds;

use std::sync::LazyLock;

use slipway_wire::problem::MEDIA_TYPE;
use utoipa::openapi::path::{HttpMethod, Operation};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, Content, OpenApi, Ref, Response, ResponseBuilder};
use utoipa::{Modify, OpenApi as _};

use crate::auth::Access;
use crate::router::{Endpoint, endpoints};
use crate::routes::{
    agent, drafts, environments, events, hosts, login, monitoring, principals, releases, rollouts, tokens,
};

/// The document as JSON, as it is served and as it stands in `docs/openapi.json`.
pub static JSON: LazyLock<String> = LazyLock::new(|| {
    let mut text = document().to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
});

/// The document.
#[must_use]
pub fn document() -> OpenApi {
    Document::openapi()
}

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Slipway",
        description = "The release control plane: what runs on which host, and how it gets there.\n\n\
            Errors are RFC 9457 problem documents. Instants are RFC 3339 in UTC, durations whole seconds. Requests \
            refuse unknown fields; clients must pass over fields that they do not know.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    paths(
        login::login, login::whoami,
        principals::list, principals::create, principals::disable,
        tokens::list, tokens::create, tokens::revoke,
        environments::list, environments::create, environments::get, environments::update, environments::delete,
        hosts::list, hosts::create, hosts::get, hosts::update, hosts::retire, hosts::restore,
        hosts::new_token,
        releases::list, releases::create, releases::get,
        drafts::create, drafts::add, drafts::seal,
        rollouts::list, rollouts::create, rollouts::get, rollouts::command,
        events::of_rollout, events::all, events::verify,
        agent::sync,
        monitoring::health, monitoring::live, monitoring::ready, monitoring::openapi,
    ),
    components(schemas(slipway_wire::Problem)),
    modifiers(&FromTable),
)]
struct Document;

/// Name and description of the answers that many routes share.
const SHARED: &[(&str, &str, &str)] = &[
    (
        "400",
        "Malformed",
        "The request cannot be read; `fields` says where",
    ),
    (
        "401",
        "Unauthenticated",
        "No token, or one that is malformed, unknown, revoked or expired",
    ),
    ("403", "Forbidden", "The token may not do this"),
    ("404", "NotFound", "There is no such thing"),
    (
        "408",
        "Timeout",
        "The request took longer than the server's limit",
    ),
    ("413", "TooLarge", "The body is over 1 MiB"),
    ("415", "MediaType", "The body is not `application/json`"),
    (
        "422",
        "Invalid",
        "The request can be read but is not possible; `fields` says where",
    ),
    (
        "429",
        "TooManyFailures",
        "Too many failed authentications from this address; see `Retry-After`",
    ),
    (
        "500",
        "Internal",
        "The server failed; its log has the cause under the request id",
    ),
    (
        "503",
        "Unavailable",
        "The server cannot answer now; see `Retry-After`",
    ),
];

struct FromTable;

impl Modify for FromTable {
    fn modify(&self, document: &mut OpenApi) {
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("slw_ and 64 hex digits")
            .description(Some("From `slipway login`, `POST /tokens` or `POST /hosts`"))
            .build();
        let components = document.components.take().unwrap_or_default();
        let mut components =
            ComponentsBuilder::from(components).security_scheme("bearer", SecurityScheme::Http(bearer));
        for (_, name, description) in SHARED {
            components = components.response(*name, problem(description));
        }
        document.components = Some(components.build());
        bounds::describe(document);
        for endpoint in endpoints() {
            if let Some(operation) = operation(document, &endpoint) {
                complete(operation, &endpoint);
                bounds::of_parameters(operation);
            }
        }
    }
}

fn problem(description: &str) -> Response {
    ResponseBuilder::new()
        .description(description)
        .content(MEDIA_TYPE, Content::new(Some(Ref::from_schema_name("Problem"))))
        .build()
}

/// The operation of a route in the document.
pub(crate) fn operation<'a>(document: &'a mut OpenApi, endpoint: &Endpoint) -> Option<&'a mut Operation> {
    let item = document.paths.paths.get_mut(endpoint.path)?;
    let operation = match http_method(endpoint)? {
        HttpMethod::Get => &mut item.get,
        HttpMethod::Post => &mut item.post,
        HttpMethod::Patch => &mut item.patch,
        HttpMethod::Delete => &mut item.delete,
        _ => return None,
    };
    operation.as_mut()
}

fn http_method(endpoint: &Endpoint) -> Option<HttpMethod> {
    Some(match endpoint.method.as_str() {
        "GET" => HttpMethod::Get,
        "POST" => HttpMethod::Post,
        "PATCH" => HttpMethod::Patch,
        "DELETE" => HttpMethod::Delete,
        _ => return None,
    })
}

/// What follows from the table: the token and role that a route takes, and the errors it shares with others.
fn complete(operation: &mut Operation, endpoint: &Endpoint) {
    let role = match endpoint.access {
        Access::Open => "Takes no token.".to_owned(),
        Access::Token => "Takes any token.".to_owned(),
        Access::Host => "Takes a host's token.".to_owned(),
        Access::Role(role) => format!("Takes the role `{role}`."),
    };
    operation.description = Some(match operation.description.take() {
        Some(description) => format!("{description}\n\n{role}"),
        None => role,
    });
    if endpoint.access != Access::Open {
        operation.security = Some(vec![SecurityRequirement::new("bearer", Vec::<String>::new())]);
    }
    // The answers of the monitoring routes are their own, but for those that every route gives.
    let monitoring = endpoint.access == Access::Open && endpoint.method == http::Method::GET;
    for (status, name, _) in SHARED {
        if monitoring && !["408", "500"].contains(status) || !applies(status, endpoint, operation) {
            continue;
        }
        let shared = Ref::from_response_name(*name);
        operation
            .responses
            .responses
            .entry((*status).to_owned())
            .or_insert_with(|| shared.into());
    }
}

fn applies(status: &str, endpoint: &Endpoint, operation: &Operation) -> bool {
    let token = endpoint.access != Access::Open;
    // Also of a route that asks for nothing: what is sent there is read all the same.
    let body = [http::Method::POST, http::Method::PATCH].contains(&endpoint.method);
    let parameters = operation
        .parameters
        .as_ref()
        .is_some_and(|parameters| !parameters.is_empty());
    match status {
        "400" | "422" => body || parameters,
        "401" | "403" => token,
        "404" => parameters || body && endpoint.access != Access::Host,
        "413" | "415" => body,
        _ => true,
    }
}
