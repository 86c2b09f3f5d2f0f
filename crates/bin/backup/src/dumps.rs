//! The folder of dumps: `ID.dump` is complete once `ID.json` stands beside it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::{Time, age};
use crate::content::Table;
use crate::failure::{BackupFailure, Result, io};
use crate::files;

/// The data about a dump; written last, so that only complete dumps have it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) id: String,
    pub(crate) database: String,
    pub(crate) server_version: String,
    pub(crate) server_major: u32,
    pub(crate) started: Time,
    pub(crate) finished: Time,
    pub(crate) size: u64,
    pub(crate) sha256: String,
    /// Bytes of the database in the server.
    pub(crate) database_size: u64,
    pub(crate) locale: Locale,
    /// Recorded in the dump's own snapshot.
    pub(crate) tables: Vec<Table>,
    /// Why it must not be trusted, once a verification or a drill has found that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) bad: Option<String>,
}

/// What a new database needs so that text sorts and folds as before.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Locale {
    pub(crate) encoding: String,
    /// `libc`, `icu` or `builtin`.
    pub(crate) provider: String,
    pub(crate) collate: String,
    pub(crate) ctype: String,
    /// The name of the rules, with icu and builtin.
    pub(crate) rules: Option<String>,
}

/// The beginning of a drill's verdict. It is about the content, which a check of the file cannot refute.
pub(crate) const DRILL_FOUND: &str = "a drill found: ";

/// Whether a mark on a dump is a drill's.
pub(crate) fn is_of_a_drill(why: &str) -> bool {
    why.starts_with(DRILL_FOUND)
}

/// The folder.
#[derive(Debug, Clone)]
pub(crate) struct Dumps(PathBuf);

impl Dumps {
    pub(crate) fn new(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    pub(crate) fn file(&self, id: &str) -> PathBuf {
        self.0.join(format!("{id}.dump"))
    }

    fn manifest_file(&self, id: &str) -> PathBuf {
        self.0.join(format!("{id}.json"))
    }

    /// A name for a dump begun now that no other has.
    pub(crate) fn new_id(&self, now: Time) -> String {
        let base = now.format("%Y%m%dT%H%M%SZ").to_string();
        let mut id = base.clone();
        let mut n = 1;
        while self.file(&id).exists() || self.manifest_file(&id).exists() {
            n += 1;
            id = format!("{base}-{n}");
        }
        id
    }

    /// Complete dumps, oldest first, and the manifests that cannot be read.
    pub(crate) fn list(&self) -> Result<(Vec<Manifest>, Vec<BackupFailure>)> {
        let mut dumps = Vec::new();
        let mut unreadable = Vec::new();
        for name in self.names()? {
            let Some(id) = name.strip_suffix(".json") else {
                continue;
            };
            let path = self.manifest_file(id);
            let read = std::fs::read(&path)
                .map_err(io("read the manifest", &path))
                .and_then(|bytes| {
                    serde_json::from_slice::<Manifest>(&bytes).map_err(|error| {
                        BackupFailure::new(format!("{} is no manifest: {error}", path.display()))
                    })
                });
            match read {
                Ok(manifest) if manifest.id == id => dumps.push(manifest),
                Ok(manifest) => unreadable.push(BackupFailure::new(format!(
                    "{} is the manifest of another dump, {}",
                    path.display(),
                    manifest.id
                ))),
                Err(failure) => unreadable.push(failure),
            }
        }
        dumps.sort_by(|a, b| (a.started, &a.id).cmp(&(b.started, &b.id)));
        Ok((dumps, unreadable))
    }

    /// The dump called `id`; `latest` is the newest one that is not marked bad.
    pub(crate) fn get(&self, id: &str) -> Result<Manifest> {
        let (dumps, _) = self.list()?;
        let found = if id == "latest" {
            dumps.iter().rev().find(|dump| dump.bad.is_none())
        } else {
            dumps.iter().find(|dump| dump.id == id)
        };
        found.cloned().ok_or_else(|| {
            BackupFailure::new(format!(
                "there is no complete dump `{id}` in {}",
                self.0.display()
            ))
            .cure("`slipway-backup list` shows those that are there")
        })
    }

    /// Writes the manifest, which makes the dump a complete one.
    pub(crate) fn record(&self, manifest: &Manifest) -> Result<()> {
        let json = serde_json::to_vec_pretty(manifest)
            .map_err(|error| BackupFailure::new(format!("cannot write the manifest: {error}")))?;
        files::write(&self.manifest_file(&manifest.id), &json)
    }

    /// Notes that a dump must not be trusted.
    pub(crate) fn condemn(&self, manifest: &Manifest, why: &str) -> Result<()> {
        self.record(&Manifest {
            bad: Some(why.to_owned()),
            ..manifest.clone()
        })
    }

    /// Takes that back.
    pub(crate) fn acquit(&self, manifest: &Manifest) -> Result<()> {
        self.record(&Manifest {
            bad: None,
            ..manifest.clone()
        })
    }

    /// Removes leftovers of runs that were cut short. Only for the holder of the lock. Returns the number of
    /// files.
    pub(crate) fn clean(&self) -> Result<usize> {
        let mut removed = 0;
        for name in self.names()? {
            let unfinished = name.ends_with(files::PARTIAL)
                || name
                    .strip_suffix(".dump")
                    .is_some_and(|id| !self.manifest_file(id).exists());
            if unfinished {
                files::remove(&self.0.join(&name))?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// Deletes dumps older than `keep`, never the newest good one. Returns their ids.
    pub(crate) fn expire(&self, keep: Duration, now: Time) -> Result<Vec<String>> {
        let (dumps, _) = self.list()?;
        let good = |dump: &&Manifest| dump.bad.is_none() && self.is_whole(dump);
        let last_good = dumps.iter().rev().find(good).map(|dump| dump.id.clone());
        let mut expired = Vec::new();
        for dump in dumps {
            if age(dump.finished, now) > keep && last_good.as_ref().is_some_and(|id| *id != dump.id) {
                // The manifest first: cut short here, the dump is a leftover for `clean`.
                files::remove(&self.manifest_file(&dump.id))?;
                files::remove(&self.file(&dump.id))?;
                expired.push(dump.id);
            }
        }
        files::sync_folder(&self.0.join("x"))?;
        Ok(expired)
    }

    /// Whether the file is there with its size. A look, not a proof.
    pub(crate) fn is_whole(&self, manifest: &Manifest) -> bool {
        self.file(&manifest.id)
            .metadata()
            .is_ok_and(|meta| meta.len() == manifest.size)
    }

    fn names(&self) -> Result<Vec<String>> {
        let entries = match std::fs::read_dir(&self.0) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(io("look into", &self.0))?,
        };
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        names.sort();
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn now() -> Time {
        "2026-11-22T12:00:00Z".parse().unwrap()
    }

    fn add(dumps: &Dumps, days_ago: i64) -> Manifest {
        let started = now() - TimeDelta::days(days_ago);
        let manifest = Manifest {
            id: dumps.new_id(started),
            database: "shop".to_owned(),
            server_version: "17.5".to_owned(),
            server_major: 17,
            started,
            finished: started,
            size: 4,
            sha256: String::new(),
            database_size: 0,
            locale: Locale {
                encoding: "UTF8".to_owned(),
                provider: "libc".to_owned(),
                collate: "C".to_owned(),
                ctype: "C".to_owned(),
                rules: None,
            },
            tables: Vec::new(),
            bad: None,
        };
        std::fs::write(dumps.file(&manifest.id), "dump").unwrap();
        dumps.record(&manifest).unwrap();
        manifest
    }

    fn ids(dumps: &Dumps) -> Vec<String> {
        dumps.list().unwrap().0.into_iter().map(|dump| dump.id).collect()
    }

    const MONTH: Duration = Duration::from_hours(30 * 24);

    #[test]
    fn old_dumps_go_and_the_newest_stays() {
        let folder = tempfile::tempdir().unwrap();
        let dumps = Dumps::new(folder.path());
        let (old, young) = (add(&dumps, 31), add(&dumps, 29));
        assert_eq!(dumps.expire(MONTH, now()).unwrap(), [old.id]);
        assert_eq!(ids(&dumps), [young.id]);
    }

    #[test]
    fn the_last_good_one_is_never_deleted_however_old() {
        let folder = tempfile::tempdir().unwrap();
        let dumps = Dumps::new(folder.path());
        let (good, broken, condemned) = (add(&dumps, 90), add(&dumps, 60), add(&dumps, 40));
        std::fs::write(dumps.file(&broken.id), "du").unwrap();
        dumps
            .condemn(&condemned, "a drill found another content")
            .unwrap();
        assert_eq!(dumps.expire(MONTH, now()).unwrap(), [broken.id, condemned.id]);
        assert_eq!(ids(&dumps), std::slice::from_ref(&good.id));
        assert_eq!(dumps.get("latest").unwrap().id, good.id);
        std::fs::write(dumps.file(&good.id), "du").unwrap();
        assert!(
            dumps.expire(MONTH, now()).unwrap().is_empty(),
            "with no good one left, nothing is deleted"
        );
    }

    #[test]
    fn leftovers_are_removed_and_complete_dumps_stay() {
        let folder = tempfile::tempdir().unwrap();
        let dumps = Dumps::new(folder.path());
        let whole = add(&dumps, 1);
        std::fs::write(dumps.file("20261121T000000Z"), "no manifest").unwrap();
        std::fs::write(files::partial(&dumps.file("20261122T000000Z")), "half").unwrap();
        assert_eq!(dumps.clean().unwrap(), 2);
        assert_eq!(ids(&dumps), [whole.id]);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn two_dumps_of_one_second_have_two_names() {
        let folder = tempfile::tempdir().unwrap();
        let dumps = Dumps::new(folder.path());
        assert_eq!(add(&dumps, 1).id, "20261121T120000Z");
        assert_eq!(add(&dumps, 1).id, "20261121T120000Z-2");
    }

    #[test]
    fn a_manifest_that_cannot_be_read_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        let dumps = Dumps::new(folder.path());
        std::fs::write(folder.path().join("x.json"), "{").unwrap();
        let (good, bad) = dumps.list().unwrap();
        assert!(good.is_empty() && bad[0].mentions("x.json is no manifest"));
    }
}
