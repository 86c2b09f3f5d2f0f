//! The `OpenAPI` document, made from the routes: their annotations, completed by who may use them.

mod bounds;

use std::sync::LazyLock;

use http::Method;
use slipway_wire::problem::MEDIA_TYPE;
use utoipa::OpenApi as _;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, Content, OpenApi, Ref, RefOr, Response, ResponseBuilder};

use crate::auth::Access;
use crate::endpoint::Endpoint;
use crate::once;
use crate::routes::endpoints;

/// The document as JSON, as it is served and as it stands in `docs/openapi.json`.
pub static JSON: LazyLock<String> = LazyLock::new(|| {
    let mut text = document().to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
});

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Slipway",
        description = "The release control plane: what runs on which host, and how it gets there.\n\n\
            Errors are RFC 9457 problem documents. Instants are RFC 3339 in UTC, durations whole seconds. Requests \
            refuse unknown fields; clients must pass over fields that they do not know.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    components(schemas(slipway_wire::Problem))
)]
struct ApiDescription;

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

/// The document.
#[must_use]
pub fn document() -> OpenApi {
    let mut document = ApiDescription::openapi();
    for mut endpoint in endpoints() {
        complete(&mut endpoint);
        document.merge(endpoint.document);
    }
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
    bounds::describe(&mut document);
    document
}

fn problem(description: &str) -> Response {
    ResponseBuilder::new()
        .description(description)
        .content(MEDIA_TYPE, Content::new(Some(Ref::from_schema_name("Problem"))))
        .build()
}

/// What follows from who may use a route: the token and role that it takes, and the errors it shares with others.
fn complete(endpoint: &mut Endpoint) {
    let (access, method) = (endpoint.access, endpoint.method.clone());
    let operation = endpoint.operation();
    let role = match access {
        Access::Open => "Takes no token.".to_owned(),
        Access::Token => "Takes any token.".to_owned(),
        Access::Host => "Takes a host's token.".to_owned(),
        Access::Role(role) => format!("Takes the role `{role}`."),
    };
    operation.description = Some(match operation.description.take() {
        Some(description) => format!("{description}\n\n{role}"),
        None => role,
    });
    let answers = &operation.responses.responses;
    let makes = ["201", "202"].iter().any(|made| answers.contains_key(*made));
    if once::takes_key(&method, access, makes) {
        let key = once::parameter();
        operation.parameters.get_or_insert_default().push(key);
    }
    if access != Access::Open {
        operation.security = Some(vec![SecurityRequirement::new("bearer", Vec::<String>::new())]);
    }
    for (status, response) in &mut operation.responses.responses {
        // An error is a problem document, unless the annotation says otherwise.
        if let RefOr::T(response) = response
            && status.starts_with(['4', '5'])
            && response.content.is_empty()
        {
            *response = problem(&response.description);
        }
    }
    // The answers of the monitoring routes are their own, but for those that every route gives.
    let is_monitoring = access == Access::Open && method == Method::GET;
    for (status, name, _) in SHARED {
        if is_monitoring && !["408", "500"].contains(status) || !applies(status, access, &method, operation) {
            continue;
        }
        let shared = Ref::from_response_name(*name);
        let responses = &mut operation.responses.responses;
        responses
            .entry((*status).to_owned())
            .or_insert_with(|| shared.into());
    }
    bounds::of_parameters(operation);
}

fn applies(status: &str, access: Access, method: &Method, operation: &Operation) -> bool {
    let token = access != Access::Open;
    // Also of a route that asks for nothing: what is sent there is read all the same.
    let body = [Method::POST, Method::PATCH].contains(method);
    let parameters = operation
        .parameters
        .as_ref()
        .is_some_and(|parameters| !parameters.is_empty());
    match status {
        "400" | "422" => body || parameters,
        "401" | "403" => token,
        "404" => parameters || body && access != Access::Host,
        "413" | "415" => body,
        _ => true,
    }
}
