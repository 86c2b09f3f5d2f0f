//! The table of contents of a dump in `pg_dump`'s custom format.
//!
//! `pg_restore --list` shortens it for people: names with spaces run into each other, and definitions are not there. So it is
//! read from the file itself, whose format Postgres has kept since version 12 but for two additions.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use crate::database::quoted;
use crate::failure::{BackupFailure, Result, io};

const MAGIC: &[u8] = b"PGDMP";
/// The minor numbers of format 1: those of Postgres 12 to 15, 16, and 17 and later.
const VERSIONS: std::ops::RangeInclusive<u8> = 14..=16;
const CUSTOM: u8 = 1;
/// Longer than any definition; a damaged file must not ask for all memory.
const LONGEST: usize = 1 << 30;

/// One object of the dump, or a part of one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) id: u32,
    /// The kind, such as `TABLE` or `TABLE DATA`.
    pub(crate) kind: String,
    pub(crate) schema: String,
    pub(crate) name: String,
    pub(crate) owner: String,
    pub(crate) definition: String,
    pub(crate) tablespace: String,
    /// The statement that would remove it.
    pub(crate) removal: String,
}

impl Entry {
    /// What `ALTER … OWNER TO` names. Empty: it has no owner of its own. By the rules of `pg_restore`.
    pub(crate) fn owned_objects(&self) -> Vec<String> {
        match self.kind.as_str() {
            "COLLATION"
            | "CONVERSION"
            | "DOMAIN"
            | "FOREIGN TABLE"
            | "MATERIALIZED VIEW"
            | "SEQUENCE"
            | "STATISTICS"
            | "TABLE"
            | "TEXT SEARCH CONFIGURATION"
            | "TEXT SEARCH DICTIONARY"
            | "TYPE"
            | "VIEW"
            | "SCHEMA"
            | "SERVER" => {
                let schema = if self.schema.is_empty() {
                    String::new()
                } else {
                    format!("{}.", quoted(&self.schema))
                };
                vec![format!("{} {schema}{}", self.kind, quoted(&self.name))]
            }
            "BLOB" => vec![format!("LARGE OBJECT {}", self.name)],
            // One number a line.
            "BLOB METADATA" => self
                .definition
                .lines()
                .map(|number| format!("LARGE OBJECT {number}"))
                .collect(),
            // Arguments are part of the name.
            "AGGREGATE" | "FUNCTION" | "OPERATOR" | "OPERATOR CLASS" | "OPERATOR FAMILY" | "PROCEDURE" => {
                self.removal
                    .strip_prefix("DROP ")
                    .map(|object| object.trim_end_matches([';', '\n', ' ']).to_owned())
                    .into_iter()
                    .collect()
            }
            _ => Vec::new(),
        }
    }
}

/// Reads the table of contents of a file.
pub(crate) fn read(path: &Path) -> Result<Vec<Entry>> {
    let file = File::open(path).map_err(io("open", path))?;
    parse(BufReader::new(file)).map_err(|failure| {
        failure
            .during(path.display())
            .cure("see that the file is what `pg_dump --format=custom` wrote: slipway-backup verify")
    })
}

fn parse(source: impl Read) -> Result<Vec<Entry>> {
    let mut source = Source {
        bytes: source,
        integer: 0,
        offset: 0,
    };
    if source.bytes(MAGIC.len())? != MAGIC {
        return Err(BackupFailure::new("no dump in Postgres' custom format"));
    }
    let (major, minor) = (source.byte()?, source.byte()?);
    source.byte()?;
    if major != 1 || !VERSIONS.contains(&minor) {
        return Err(BackupFailure::new(format!(
            "a dump of format {major}.{minor}, which this version of slipway-backup does not know"
        ))
        .cure("take the slipway-backup of the release that made the dump"));
    }
    source.integer = source.byte()?.into();
    source.offset = source.byte()?.into();
    if source.byte()? != CUSTOM {
        return Err(BackupFailure::new("no dump in Postgres' custom format"));
    }
    // The compression, the seven numbers of the date, the database and two versions.
    if minor >= 15 {
        source.byte()?;
    } else {
        source.number()?;
    }
    for _ in 0..7 {
        source.number()?;
    }
    for _ in 0..3 {
        source.text()?;
    }
    let count = source.number()?;
    (0..count).map(|_| source.entry(minor)).collect()
}

struct Source<R> {
    bytes: R,
    /// Bytes of a number, without its sign.
    integer: usize,
    /// Bytes of a place in the file.
    offset: usize,
}

impl<R: Read> Source<R> {
    fn entry(&mut self, minor: u8) -> Result<Entry> {
        let id = self.number()?;
        self.number()?;
        self.text()?;
        self.text()?;
        let name = self.text()?.unwrap_or_default();
        let kind = self.text()?.unwrap_or_default();
        self.number()?;
        let definition = self.text()?.unwrap_or_default();
        let removal = self.text()?.unwrap_or_default();
        self.text()?;
        let schema = self.text()?.unwrap_or_default();
        let tablespace = self.text()?.unwrap_or_default();
        self.text()?;
        if minor >= 16 {
            self.number()?;
        }
        let owner = self.text()?.unwrap_or_default();
        self.text()?;
        // What it depends on.
        while self.text()?.is_some() {}
        self.bytes(1 + self.offset)?;
        Ok(Entry {
            id: u32::try_from(id).map_err(|_| damaged())?,
            kind,
            schema,
            name,
            owner,
            definition,
            tablespace,
            removal,
        })
    }

    fn bytes(&mut self, count: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let read = self
            .bytes
            .by_ref()
            .take(u64::try_from(count).unwrap_or(u64::MAX))
            .read_to_end(&mut bytes);
        match read {
            Ok(found) if found == count => Ok(bytes),
            Ok(_) => Err(damaged()),
            Err(error) => Err(BackupFailure::new(format!("cannot be read: {error}"))),
        }
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.bytes(1)?[0])
    }

    /// A sign, then the value with its lowest byte first.
    fn number(&mut self) -> Result<i64> {
        let sign = self.byte()?;
        let bytes = self.bytes(self.integer)?;
        let value = bytes
            .iter()
            .rev()
            .try_fold(0_i64, |value, byte| {
                value.checked_mul(256)?.checked_add((*byte).into())
            })
            .ok_or_else(damaged)?;
        Ok(if sign == 0 { value } else { -value })
    }

    /// None is not the empty text: it ends a list.
    fn text(&mut self) -> Result<Option<String>> {
        let Ok(length) = usize::try_from(self.number()?) else {
            return Ok(None);
        };
        if length > LONGEST {
            return Err(damaged());
        }
        // In the database's encoding, which is UTF-8 but for old databases. Kinds and roles of stacks are ASCII.
        Ok(Some(String::from_utf8_lossy(&self.bytes(length)?).into_owned()))
    }
}

fn damaged() -> BackupFailure {
    BackupFailure::new("the table of contents ends too early or is damaged")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(value: i32) -> Vec<u8> {
        let mut bytes = vec![u8::from(value < 0)];
        bytes.extend(value.unsigned_abs().to_le_bytes());
        bytes
    }

    fn text(value: &str) -> Vec<u8> {
        [number(value.len().try_into().unwrap()), value.as_bytes().to_vec()].concat()
    }

    fn dump(minor: u8) -> Vec<u8> {
        let none = number(-1);
        let mut bytes = [MAGIC, &[1, minor, 0, 4, 8, CUSTOM]].concat();
        bytes.extend(if minor >= 15 { vec![1] } else { number(-1) });
        bytes.extend((0..7).flat_map(number));
        bytes.extend(["shop", "17.2", "17.2"].into_iter().flat_map(text));
        bytes.extend(number(1));
        bytes.extend([number(215), number(0), text("1255"), text("16390")].concat());
        bytes.extend([text("f(integer)"), text("FUNCTION"), number(2)].concat());
        bytes.extend(
            [
                text("CREATE FUNCTION …"),
                text("DROP FUNCTION public.f(integer);\n"),
            ]
            .concat(),
        );
        bytes.extend([none.clone(), text("public"), none.clone(), none.clone()].concat());
        if minor >= 16 {
            bytes.extend(number(0));
        }
        bytes.extend([text("app"), text("false"), text("3"), none].concat());
        bytes.extend([0; 9]);
        bytes
    }

    #[test]
    fn each_format_is_read() {
        for minor in VERSIONS {
            let entries = parse(dump(minor).as_slice()).unwrap();
            assert_eq!(entries.len(), 1);
            let entry = &entries[0];
            assert_eq!(
                (entry.id, entry.kind.as_str(), entry.owner.as_str()),
                (215, "FUNCTION", "app")
            );
            assert_eq!(entry.owned_objects(), ["FUNCTION public.f(integer)"]);
        }
    }

    #[test]
    fn a_format_of_the_future_and_a_damaged_file_are_refused() {
        let refused = |bytes: &[u8]| parse(bytes).unwrap_err().to_string();
        let mut future = dump(16);
        future[6] = 17;
        assert!(refused(&future).contains("a dump of format 1.17"));
        let whole = dump(16);
        for end in [0, 3, 9, 40, whole.len() - 1] {
            refused(&whole[..end]);
        }
    }

    #[test]
    fn owners_are_set_as_pg_restore_does() {
        let entry = |kind: &str, definition: &str| Entry {
            kind: kind.to_owned(),
            schema: "a\"b".to_owned(),
            name: "12".to_owned(),
            definition: definition.to_owned(),
            ..Entry::default()
        };
        assert_eq!(entry("VIEW", "").owned_objects(), ["VIEW \"a\"\"b\".\"12\""]);
        assert_eq!(entry("BLOB", "").owned_objects(), ["LARGE OBJECT 12"]);
        assert_eq!(
            entry("BLOB METADATA", "12\n13\n").owned_objects(),
            ["LARGE OBJECT 12", "LARGE OBJECT 13"]
        );
        assert!(entry("INDEX", "").owned_objects().is_empty());
    }
}
