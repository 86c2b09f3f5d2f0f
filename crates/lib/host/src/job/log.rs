//! The log of a job: what its script printed, in parts of equal length.
//!
//! The first part and the two newest are kept. A part's name says where in the output it begins, so whoever reads the log
//! knows how much was printed and what is gone.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::JobFiles;

/// The bytes of a part.
pub(super) const PART_BYTES: u64 = 256 * 1024;

impl JobFiles {
    /// A part of the log of a job, counted from 1.
    fn log_part(&self, name: &str, number: u64) -> PathBuf {
        let log = self.log(name);
        if number == 1 {
            log
        } else {
            log.with_extension(format!("log-{number}"))
        }
    }

    /// Begins the log of a job.
    pub(super) fn log_writer(&self, name: &str) -> LogWriter {
        LogWriter {
            part: open(&self.log_part(name, 1)),
            files: self.clone(),
            name: name.to_owned(),
            number: 1,
            left: PART_BYTES,
        }
    }

    /// How much the script of a job has printed.
    pub(super) fn log_size(&self, name: &str) -> u64 {
        let size = |number| {
            Some(
                fs::metadata(self.log_part(name, number))
                    .ok()?
                    .len()
                    .min(PART_BYTES),
            )
        };
        let newest = self.newest_part(name);
        size(newest).map_or(0, |size| (newest - 1) * PART_BYTES + size)
    }

    /// What the script printed from there on, within one part, and where that begins: later if some of it is gone.
    pub(super) fn read_log(&self, name: &str, from: u64, most: u64) -> io::Result<(u64, Vec<u8>)> {
        let newest = self.newest_part(name);
        let (mut number, mut at) = (from / PART_BYTES + 1, from % PART_BYTES);
        loop {
            let begin = (number - 1) * PART_BYTES;
            let most = most.min(PART_BYTES - at);
            let bytes = match File::open(self.log_part(name, number)) {
                Ok(mut part) => {
                    part.seek(SeekFrom::Start(at))?;
                    let mut bytes = Vec::new();
                    part.take(most).read_to_end(&mut bytes)?;
                    bytes
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
                Err(error) => return Err(error),
            };
            if !bytes.is_empty() || number >= newest {
                return Ok((begin + at, bytes));
            }
            // Of the parts between, none is kept.
            (number, at) = ((number + 1).max(newest - 1), 0);
        }
    }

    fn newest_part(&self, name: &str) -> u64 {
        let prefix = format!("{name}.log-");
        let names = fs::read_dir(self.dir()).into_iter().flatten().flatten();
        let numbers = names.filter_map(|entry| {
            let name = entry.file_name();
            name.to_str()?.strip_prefix(&prefix)?.parse().ok()
        });
        numbers.max().unwrap_or(1)
    }
}

/// Writes the log. What a full disk does not take is lost, and the script goes on.
#[derive(Debug)]
pub(super) struct LogWriter {
    files: JobFiles,
    name: String,
    number: u64,
    /// What the part has room for.
    left: u64,
    part: Option<File>,
}

impl LogWriter {
    pub(super) fn put(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.left == 0 {
                self.next_part();
            }
            let fits = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
            let (now, later) = bytes.split_at(fits);
            if let Some(part) = &mut self.part {
                let _ = part.write_all(now);
            }
            self.left -= now.len() as u64;
            bytes = later;
        }
    }

    fn next_part(&mut self) {
        self.number += 1;
        self.left = PART_BYTES;
        self.part = open(&self.files.log_part(&self.name, self.number));
        if self.number > 3 {
            let _ = fs::remove_file(self.files.log_part(&self.name, self.number - 2));
        }
    }
}

fn open(path: &Path) -> Option<File> {
    OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .ok()
}
