//! Sign-in by `OpenID` Connect: all of it, or nothing.

use super::is_readable_on_the_way;
use crate::reader::SectionReader;

/// What somebody must give besides the issuer.
const PARTS: [(&str, &str); 3] = [
    ("OIDC_CLIENT_ID", "the name of this control plane at the provider"),
    (
        "OIDC_CLIENT_SECRET",
        "its secret there, or OIDC_CLIENT_SECRET_FILE",
    ),
    (
        "OIDC_ROLES",
        "what the provider's groups may do, such as admin=platform",
    ),
];

pub(super) fn check_oidc(reader: &mut SectionReader<'_>) {
    if !reader.is_set("OIDC_ISSUER") {
        for (part, _) in PARTS {
            if reader.is_set(part) {
                let cure = "set OIDC_ISSUER to the provider's address, or remove this";
                reader.fail(part, "is of no provider", cure);
            }
        }
        return;
    }
    for (part, what) in PARTS {
        if !reader.is_set(part) {
            let cure = format!("set {part}: {what}; or remove OIDC_ISSUER");
            reader.fail(part, "is not set, and OIDC_ISSUER is", &cure);
        }
    }
    if is_readable_on_the_way(reader.field("issuer")) {
        reader.fail(
            "OIDC_ISSUER",
            "is not encrypted: anybody on the way could sign in as anybody",
            "give an https:// address",
        );
    }
}
