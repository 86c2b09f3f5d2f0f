//! SPDX 2 as JSON.

use serde::Deserialize;
use slipway_wire::attachment::Component;

use super::value::{cut, or_nothing, some};
use super::{Found, bounded};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Spdx {
    #[serde(rename = "spdxVersion")]
    version: String,
    #[serde(deserialize_with = "or_nothing")]
    packages: Vec<Package>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Package {
    name: String,
    #[serde(rename = "versionInfo")]
    version: Option<String>,
    #[serde(rename = "externalRefs", deserialize_with = "or_nothing")]
    references: Vec<Reference>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Reference {
    #[serde(rename = "referenceType")]
    kind: String,
    #[serde(rename = "referenceLocator")]
    locator: String,
}

pub(super) fn components(document: Spdx) -> Found<Component> {
    let Spdx { version, packages } = document;
    let all = bounded(packages.iter().map(|one| {
        let url = one.references.iter().find(|reference| reference.kind == "purl");
        Component {
            name: cut(&one.name),
            version: some(one.version.as_ref()),
            purl: url.map(|reference| cut(&reference.locator)),
        }
    }));
    Ok((cut(&version.replace('-', " ")), all?))
}
