//! What requests are bounded by, put into the document from the constants that the handlers check against.

use slipway_domain::labels::{MAX_LABEL_NAME, MAX_LABEL_VALUE, MAX_LABELS};
use slipway_domain::message::address::MAX_URL_CHARS;
use slipway_domain::preflight::CHECKS;
use slipway_domain::reference::MAX_REFERENCE;
use slipway_domain::strategy::{MAX_GROUPS, MAX_RETRIES, MAX_SECONDS};
use slipway_release::manifest::MAX_BYTES;
use slipway_release::signature::MAX_SIGNATURE_BYTES;
use slipway_release::signed::MAX_SIGNATURES;
use slipway_wire::attachment::MAX_DOCUMENT_BYTES;
use slipway_wire::limits::{LABEL_CHARS, MESSAGE_CHARS, OIDC_CHARS};
use slipway_wire::message::{MAX_RECIPIENT_CHARS, MAX_RECIPIENTS, MAX_ROOM_CHARS};
use slipway_wire::output::{MAX_JOB_CHARS, MAX_PIECE_TEXT, MAX_SEARCH_CHARS};
use slipway_wire::page::MAX_LIMIT;
use utoipa::Number;
use utoipa::openapi::path::{Operation, Parameter};
use utoipa::openapi::schema::{AdditionalProperties, ArrayItems, SchemaType, Type};
use utoipa::openapi::{Object, ObjectBuilder, OpenApi, Ref, RefOr, Schema};

use crate::routes::tokens::MAX_DAYS;

/// Characters of a cursor: the longest is a host's name.
const CURSOR_CHARS: usize = 63;
/// A store path: a folder, 32 characters of Nix' base 32, and a name.
const STORE_PATH: &str = r"^(/[^/]+)+/[0-9a-df-np-sv-z]{32}-[0-9a-zA-Z+._?=-]{1,211}$";

/// `sha256:` and 64 hex digits.
const DIGEST_CHARS: usize = 71;

/// The bound of a field.
enum Bound {
    /// Characters, at least one.
    Chars(usize),
    /// Whole numbers from and to.
    Range(u32, u32),
}

use Bound::{Chars, Range};

const BOUNDS: &[(&str, &str, Bound)] = &[
    ("Source", "flake_ref", Chars(MESSAGE_CHARS)),
    ("Source", "rev", Chars(LABEL_CHARS)),
    ("Source", "nar_hash", Chars(LABEL_CHARS)),
    ("CreateRelease", "message", Chars(MESSAGE_CHARS)),
    ("CreateSignedRelease", "manifest", Chars(MAX_BYTES)),
    ("CreateSignedRelease", "message", Chars(MESSAGE_CHARS)),
    ("CreateDraft", "message", Chars(MESSAGE_CHARS)),
    ("SealDraft", "hosts", Range(1, u32::MAX)),
    ("CreateCommand", "reason", Chars(MESSAGE_CHARS)),
    ("CreateCommand", "plan", Chars(DIGEST_CHARS)),
    ("AdoptHost", "drift", Chars(DIGEST_CHARS)),
    ("AdoptHost", "reason", Chars(MESSAGE_CHARS)),
    ("OutputPiece", "job", Chars(MAX_JOB_CHARS)),
    ("CreateFreeze", "reason", Chars(MESSAGE_CHARS)),
    ("CreateRollout", "override_freeze", Chars(MESSAGE_CHARS)),
    ("CreateRollout", "release", Chars(MAX_REFERENCE)),
    ("AdoptHost", "drift", Chars(DIGEST_CHARS)),
    ("AdoptHost", "reason", Chars(MESSAGE_CHARS)),
    ("KeepRelease", "reason", Chars(MESSAGE_CHARS)),
    ("AttachDocument", "document", Chars(MAX_DOCUMENT_BYTES)),
    ("CreateDestination", "room", Chars(MAX_ROOM_CHARS)),
    ("CreateToken", "label", Chars(LABEL_CHARS)),
    ("CreateToken", "expires_in_days", Range(1, MAX_DAYS)),
    ("LoginRequest", "label", Chars(LABEL_CHARS)),
    ("FinishOidc", "attempt", Chars(OIDC_CHARS)),
    ("FinishOidc", "state", Chars(OIDC_CHARS)),
    ("FinishOidc", "code", Chars(OIDC_CHARS)),
    ("FinishOidc", "iss", Chars(OIDC_CHARS)),
    ("FinishOidc", "label", Chars(LABEL_CHARS)),
    ("Strategy", "bake_seconds", Range(0, MAX_SECONDS)),
    ("Strategy", "retries", Range(0, MAX_RETRIES)),
    // More would never fit between the interval and the limit.
    ("Verify", "passes", Range(1, MAX_SECONDS + 1)),
    ("Verify", "interval_seconds", Range(1, MAX_SECONDS)),
    ("Verify", "timeout_seconds", Range(1, MAX_SECONDS)),
    ("Limits", "stage_seconds", Range(1, MAX_SECONDS)),
    ("Limits", "activate_seconds", Range(1, MAX_SECONDS)),
    ("Limits", "deadman_seconds", Range(1, MAX_SECONDS)),
    ("Limits", "revert_seconds", Range(1, MAX_SECONDS)),
    ("Limits", "offline_seconds", Range(1, MAX_SECONDS)),
    ("Limits", "person_seconds", Range(1, MAX_SECONDS)),
];

/// Puts all of them into the document.
pub(super) fn describe(document: &mut OpenApi) {
    for (schema, field, bound) in BOUNDS {
        if let Some(object) = property(document, schema, field) {
            set(object, bound);
        }
    }
    // Of a line of escapes no text is left.
    if let Some(text) = property(document, "OutputPiece", "text") {
        text.max_length = Some(MAX_PIECE_TEXT);
    }
    for schema in ["CreateRelease", "DraftPage"] {
        if let Some(closures) = property(document, schema, "closures") {
            closures.min_properties = Some(1);
            closures.property_names = Some(Box::new(Schema::Object(text(|name| {
                name.pattern = Some(r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$".to_owned());
            }))));
            let path = Ref::from_schema_name("StorePath");
            closures.additional_properties = Some(Box::new(AdditionalProperties::RefOr(path.into())));
        }
    }
    if let Some(labels) = property(document, "CreateHost", "labels") {
        labels.max_properties = Some(MAX_LABELS);
        labels.property_names = Some(Box::new(label_name()));
        let value = text(|value| value.max_length = Some(MAX_LABEL_VALUE));
        labels.additional_properties = Some(Box::new(AdditionalProperties::RefOr(value.into())));
    }
    if let Some(labels) = property(document, "UpdateHost", "labels") {
        labels.max_properties = Some(MAX_LABELS);
        labels.property_names = Some(Box::new(label_name()));
        let value = text(|value| {
            value.schema_type = SchemaType::Array(vec![Type::String, Type::Null]);
            value.max_length = Some(MAX_LABEL_VALUE);
        });
        labels.additional_properties = Some(Box::new(AdditionalProperties::RefOr(value.into())));
    }
    if let Some(order) = schemas(document).and_then(|all| all.get_mut("Strategy"))
        && let RefOr::T(Schema::Object(strategy)) = order
        && let Some(RefOr::T(Schema::Array(order))) = strategy.properties.get_mut("order")
    {
        order.max_items = Some(MAX_GROUPS);
    }
    if let Some(RefOr::T(Schema::Object(strategy))) =
        schemas(document).and_then(|all| all.get_mut("Strategy"))
        && let Some(RefOr::T(Schema::Array(skipped))) = strategy.properties.get_mut("skip_checks")
    {
        skipped.max_items = Some(CHECKS.len());
        let name = text(|name| name.max_length = Some(LABEL_CHARS));
        skipped.items = ArrayItems::RefOrSchema(Box::new(Schema::Object(name).into()));
    }
    if let Some(RefOr::T(Schema::Object(signed))) =
        schemas(document).and_then(|all| all.get_mut("CreateSignedRelease"))
        && let Some(RefOr::T(Schema::Array(signatures))) = signed.properties.get_mut("signatures")
    {
        (signatures.min_items, signatures.max_items) = (Some(1), Some(MAX_SIGNATURES));
        let signature = text(|signature| signature.max_length = Some(MAX_SIGNATURE_BYTES));
        signatures.items = ArrayItems::RefOrSchema(Box::new(Schema::Object(signature).into()));
    }
    for schema in ["CreateDestination", "UpdateDestination"] {
        if let Some(RefOr::T(Schema::Object(destination))) =
            schemas(document).and_then(|all| all.get_mut(schema))
            && let Some(RefOr::T(Schema::Array(recipients))) = destination.properties.get_mut("recipients")
        {
            recipients.max_items = Some(MAX_RECIPIENTS);
            let recipient = text(|recipient| recipient.max_length = Some(MAX_RECIPIENT_CHARS));
            recipients.items = ArrayItems::RefOrSchema(Box::new(Schema::Object(recipient).into()));
        }
    }
    if let Some(RefOr::T(Schema::Object(secret))) =
        schemas(document).and_then(|all| all.get_mut("Confidential"))
    {
        secret.max_length = Some(MAX_URL_CHARS);
    }
    if let Some(RefOr::T(Schema::Object(path))) = schemas(document).and_then(|all| all.get_mut("StorePath")) {
        path.pattern = Some(STORE_PATH.to_owned());
    }
}

/// The bounds of an operation's parameters.
pub(super) fn of_parameters(operation: &mut Operation) {
    for parameter in operation.parameters.iter_mut().flatten() {
        let Parameter {
            name,
            schema: Some(RefOr::T(Schema::Object(object))),
            ..
        } = parameter
        else {
            continue;
        };
        match (name.as_str(), &object.schema_type) {
            ("limit", _) => set(object, &Range(1, MAX_LIMIT)),
            ("search", _) => set(object, &Chars(MAX_SEARCH_CHARS)),
            ("kind" | "actor", _) => set(object, &Chars(LABEL_CHARS)),
            ("after" | "before", SchemaType::Type(Type::Integer)) => object.minimum = Some(Number::Int(0)),
            ("text", _) => object.max_length = Some(MESSAGE_CHARS),
            ("after", _) => object.max_length = Some(CURSOR_CHARS),
            ("digest", _) => set(object, &Chars(DIGEST_CHARS)),
            // Other ids are UUIDs, which have a format.
            ("id" | "release" | "rollout", _) if object.format.is_none() => {
                set(object, &Chars(MAX_REFERENCE));
            }
            _ => {}
        }
    }
}

fn set(object: &mut Object, bound: &Bound) {
    match bound {
        Chars(most) => {
            object.min_length = Some(1);
            object.max_length = Some(*most);
        }
        Range(least, most) => {
            object.minimum = Some(Number::UInt(*least as usize));
            object.maximum = Some(Number::UInt(*most as usize));
            // `int32` would end half way.
            object.format = None;
        }
    }
}

fn label_name() -> Schema {
    Schema::Object(text(|name| {
        name.pattern = Some(format!("^[0-9A-Za-z._/-]{{1,{MAX_LABEL_NAME}}}$"));
    }))
}

fn text(with: impl FnOnce(&mut Object)) -> Object {
    let mut object = ObjectBuilder::new().schema_type(Type::String).build();
    with(&mut object);
    object
}

type Schemas = std::collections::BTreeMap<String, RefOr<Schema>>;

fn schemas(document: &mut OpenApi) -> Option<&mut Schemas> {
    Some(&mut document.components.as_mut()?.schemas)
}

fn property<'a>(document: &'a mut OpenApi, schema: &str, field: &str) -> Option<&'a mut Object> {
    let RefOr::T(Schema::Object(object)) = schemas(document)?.get_mut(schema)? else {
        return None;
    };
    match object.properties.get_mut(field)? {
        RefOr::T(Schema::Object(property)) => Some(property),
        _ => None,
    }
}
