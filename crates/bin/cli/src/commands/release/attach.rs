//! What is attached to a release: a bill of materials, and a report of known vulnerabilities.

use std::path::Path;

use slipway_domain::{AttachmentKind, ReleaseRef, Severity};
use slipway_wire::attachment::{
    AttachDocument, Attachment, DocumentQuery, EntriesQuery, MAX_DOCUMENT_BYTES, ReleaseComponents,
    ReleaseVulnerabilities,
};
use slipway_wire::page::MAX_LIMIT;

use crate::args::{AttachArgs, AttachedArgs};
use crate::commands::List;
use crate::context::Context;
use crate::table::{Cell, Table, Tone};
use crate::text::{brief, clean, count, instant};
use crate::{CliFailure, files, stop};

/// Characters of a value in a list.
const VALUE_CHARS: usize = 60;

/// Attaches documents, each of which the control plane reads first.
pub(super) async fn attach(context: &Context, args: AttachArgs) -> Result<(), CliFailure> {
    let given = [
        (AttachmentKind::Sbom, args.sbom),
        (AttachmentKind::Vulnerabilities, args.vulnerabilities),
    ];
    if given
        .iter()
        .all(|(_, path)| path.as_deref() == Some(Path::new("-")))
    {
        return Err(
            CliFailure::usage("--sbom and --vulnerabilities cannot both be read from stdin")
                .help("name a file for one of them"),
        );
    }
    let mut documents = Vec::new();
    for (kind, path) in given {
        let Some(path) = path else { continue };
        let document = files::read_up_to(&path, kind.words(), MAX_DOCUMENT_BYTES as u64)?;
        documents.push((path, AttachDocument { kind, document }));
    }
    let client = context.client()?;
    let mut attached = Vec::new();
    for (path, document) in &documents {
        let one = stop::or_stop(async {
            let attached = client.attach_document(&args.release, document).await;
            attached.map_err(|error| {
                let what = format!("the {} {}", document.kind.words(), path.display());
                CliFailure::from(error).about(&what)
            })
        });
        attached.push(one.await?);
    }
    context.output.show(&List { items: &attached }, || {
        let lines = attached.iter().map(|one| {
            format!(
                "attached {} {} to the release {}: {}, {}\n",
                one.kind.words(),
                one.version,
                args.release,
                clean(&one.format),
                entries(one)
            )
        });
        lines.collect()
    })
}

/// How much it names: of a report also how many are how bad.
fn entries(one: &Attachment) -> String {
    let some = one.severities.iter().filter(|one| one.vulnerabilities > 0);
    let mut parts: Vec<String> = some
        .map(|one| format!("{} {}", one.vulnerabilities, one.severity))
        .collect();
    if one.dismissed > 0 {
        parts.push(format!("{} dismissed", one.dismissed));
    }
    let all = match one.kind {
        AttachmentKind::Sbom => count(one.entries as usize, "component"),
        AttachmentKind::Vulnerabilities if one.entries == 1 => "1 vulnerability".to_owned(),
        AttachmentKind::Vulnerabilities => format!("{} vulnerabilities", one.entries),
    };
    if parts.is_empty() {
        all
    } else {
        format!("{all} ({})", parts.join(", "))
    }
}

/// Shows what is attached.
pub(super) async fn attached(context: &Context, args: AttachedArgs) -> Result<(), CliFailure> {
    let kind = if args.sbom {
        Some(AttachmentKind::Sbom)
    } else {
        args.vulnerabilities.then_some(AttachmentKind::Vulnerabilities)
    };
    let release = &args.release;
    let query = EntriesQuery {
        text: args.text,
        skip: None,
        // Whoever looks for an entry that is not among them gives words.
        limit: Some(MAX_LIMIT),
    };
    match kind {
        None => list(context, release).await,
        Some(kind) if args.raw => {
            let query = DocumentQuery {
                kind,
                version: args.version,
            };
            let found = context.client()?.attached_document(release, &query).await?;
            context.output.show_document(&found, &found.document)
        }
        Some(AttachmentKind::Sbom) => {
            let found = context.client()?.release_components(release, &query).await?;
            context.output.show(&found, || components(context, &found))
        }
        Some(AttachmentKind::Vulnerabilities) => {
            let found = context.client()?.release_vulnerabilities(release, &query).await?;
            context.output.show(&found, || vulnerabilities(context, &found))
        }
    }
}

async fn list(context: &Context, release: &ReleaseRef) -> Result<(), CliFailure> {
    let all = context.client()?.attachments(release).await?;
    context.output.show(&List { items: &all }, || {
        let mut table = Table::new(&["KIND", "VERSION", "FORMAT", "ENTRIES", "ATTACHED", "BY", "DIGEST"]);
        for one in &all {
            table.row([
                one.kind.as_str().into(),
                one.version.to_string().into(),
                clean(&one.format).into(),
                entries(one).into(),
                instant(one.at).into(),
                one.by.as_str().into(),
                one.digest.to_string().into(),
            ]);
        }
        let none = "nothing is attached; attach something: slipway release attach RELEASE --sbom FILE";
        table.render(context.output.colour, none)
    })
}

fn components(context: &Context, found: &ReleaseComponents) -> String {
    let mut table = Table::new(&["COMPONENT", "VERSION", "PACKAGE URL"]);
    for one in &found.items {
        table.row([
            brief(&one.name, VALUE_CHARS).into(),
            Cell::maybe(one.version.as_deref().map(|text| brief(text, VALUE_CHARS))),
            Cell::maybe(one.purl.as_deref().map(|text| brief(text, VALUE_CHARS))),
        ]);
    }
    let text = table.render(context.output.colour, "no component fits");
    text + &rest(found.total, found.items.len())
}

fn vulnerabilities(context: &Context, found: &ReleaseVulnerabilities) -> String {
    let mut table = Table::new(&["SEVERITY", "ID", "IN", "FIXED IN", "STATUS"]);
    for one in &found.items {
        let tone = match one.severity {
            _ if one.dismissed => Tone::Plain,
            Severity::Critical | Severity::High => Tone::Bad,
            Severity::Medium => Tone::Busy,
            Severity::Low | Severity::Unknown => Tone::Plain,
        };
        let value = |text: &Option<String>| Cell::maybe(text.as_deref().map(|text| brief(text, VALUE_CHARS)));
        table.row([
            Cell::new(one.severity.as_str(), tone),
            brief(&one.id, VALUE_CHARS).into(),
            value(&one.component),
            value(&one.fixed_in),
            value(&one.state),
        ]);
    }
    let text = table.render(context.output.colour, "no vulnerability fits");
    text + &rest(found.total, found.items.len())
}

/// What is not in the table.
fn rest(total: u32, shown: usize) -> String {
    let more = (total as usize).saturating_sub(shown);
    if more == 0 {
        return String::new();
    }
    format!("and {more} more; narrow it down with --text, or read all of it with --raw\n")
}
