//! What jobs printed, in bounded pieces for the control plane.
//!
//! Of every job the first part is told as it is printed, and the last part once the job is over. What lies between is only
//! counted. Whoever asks says how far they have come, and keeps nothing.

use std::fs;
use std::time::SystemTime;

use slipway_domain::AttemptId;
use slipway_text::printed;

use super::{JobFiles, JobId, JobState};

/// What is told of a job's output while it runs, in bytes.
pub const FIRST_BYTES: u64 = 48 * 1024;
/// What is told of its end.
pub const LAST_BYTES: u64 = 16 * 1024;
/// The most of one piece.
pub const PIECE_BYTES: u64 = 16 * 1024;

/// How it stands with a job's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Printed {
    /// There is something to tell.
    Piece(PrintedPiece),
    /// Nothing now.
    Nothing,
    /// All was told that will be.
    Over,
}

/// A piece of what a job printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrintedPiece {
    /// Where it begins, in bytes.
    pub start: u64,
    /// Where it ends.
    pub end: u64,
    /// How many bytes before it are not told.
    pub skipped: u64,
    /// The plain text.
    pub text: String,
}

impl JobFiles {
    /// The jobs of an attempt that have a log, the oldest first.
    #[must_use]
    pub fn of_attempt(&self, attempt: AttemptId) -> Vec<JobId> {
        let names = fs::read_dir(self.dir()).into_iter().flatten().flatten();
        let mut jobs: Vec<(SystemTime, JobId)> = names
            .filter_map(|entry| {
                let name = entry.file_name();
                let job = JobId::parse(name.to_str()?.strip_suffix(".log")?)?;
                let began = || {
                    fs::metadata(self.dir().join(format!("{job}.claim")))
                        .ok()?
                        .modified()
                        .ok()
                };
                (job.attempt == attempt).then(|| (began().unwrap_or(SystemTime::UNIX_EPOCH), job))
            })
            .collect();
        jobs.sort_by_key(|(began, job)| (*began, job.serial));
        jobs.into_iter().map(|(_, job)| job).collect()
    }

    /// What comes next of a job's output, for somebody who knows it up to there.
    #[must_use]
    pub fn printed(&self, job: JobId, known: u64) -> Printed {
        let name = job.to_string();
        // Before the size: a job that is over prints no more.
        let is_over = matches!(self.state(&name), JobState::Ended(_) | JobState::Lost);
        let size = self.log_size(&name);
        let (from, until) = if known < FIRST_BYTES {
            (known, FIRST_BYTES.min(known + PIECE_BYTES))
        } else if is_over {
            let from = known.max(size.saturating_sub(LAST_BYTES));
            (from, from + PIECE_BYTES)
        } else {
            return Printed::Nothing;
        };
        // What cannot be read is not told.
        let (start, mut bytes) = self.read_log(&name, from, until - from).unwrap_or_default();
        let mut start = start.max(from);
        if bytes.is_empty() {
            return if is_over { Printed::Over } else { Printed::Nothing };
        }
        let is_full = bytes.len() as u64 == until - from;
        let is_last = is_over && start + bytes.len() as u64 >= size;
        if start > known {
            // Behind a gap a line has no beginning.
            let line = bytes.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
            if let Some(line) = line.filter(|line| *line < bytes.len() / 2) {
                bytes.drain(..line);
                start += line as u64;
            }
        }
        if !is_last {
            match bytes.iter().rposition(|byte| *byte == b'\n') {
                Some(at) => bytes.truncate(at + 1),
                None if is_full || is_over => whole_characters(&mut bytes),
                // The rest of the line is to come.
                None => return Printed::Nothing,
            }
        }
        Printed::Piece(PrintedPiece {
            start,
            end: start + bytes.len() as u64,
            skipped: start - known,
            text: printed(&bytes),
        })
    }
}

/// Leaves out a last character of which some bytes are to come.
fn whole_characters(bytes: &mut Vec<u8>) {
    let Some(last) = bytes.utf8_chunks().last() else {
        return;
    };
    let cut = last.invalid().len();
    if cut < bytes.len() {
        bytes.truncate(bytes.len() - cut);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{JobEnd, JobExit, JobKind};
    use super::*;

    struct Rig {
        _dir: tempfile::TempDir,
        jobs: JobFiles,
        job: JobId,
        log: super::super::log::LogWriter,
    }

    fn rig() -> Rig {
        let dir = tempfile::tempdir().unwrap();
        let jobs = JobFiles::open(dir.path()).unwrap();
        let job = JobId::first(JobKind::Activate, AttemptId::random());
        assert!(jobs.claim(&job.to_string()).unwrap());
        let log = jobs.log_writer(&job.to_string());
        Rig {
            _dir: dir,
            jobs,
            job,
            log,
        }
    }

    impl Rig {
        fn end(&self) {
            let exit = JobExit {
                end: JobEnd::Exited(0),
                tail: String::new(),
            };
            self.jobs.record(&self.job.to_string(), &exit).unwrap();
        }

        /// All that is to be told from there on.
        fn all(&self, mut known: u64) -> Vec<PrintedPiece> {
            let mut pieces = Vec::new();
            while let Printed::Piece(piece) = self.jobs.printed(self.job, known) {
                assert_eq!(piece.start, known + piece.skipped);
                assert!(piece.end > piece.start && piece.end - piece.start <= PIECE_BYTES);
                known = piece.end;
                pieces.push(piece);
            }
            pieces
        }
    }

    fn text(pieces: &[PrintedPiece]) -> String {
        pieces.iter().map(|piece| piece.text.as_str()).collect()
    }

    #[test]
    fn whole_lines_are_told_as_they_come_and_the_rest_at_the_end() {
        let mut rig = rig();
        assert_eq!(rig.jobs.of_attempt(rig.job.attempt), [rig.job]);
        assert_eq!(rig.jobs.printed(rig.job, 0), Printed::Nothing);
        rig.log.put(b"one\ntwo\nthr");
        let pieces = rig.all(0);
        assert_eq!(text(&pieces), "one\ntwo\n");
        rig.log.put(b"ee\nfour");
        assert_eq!(text(&rig.all(pieces[0].end)), "three\n");
        rig.end();
        assert_eq!(text(&rig.all(pieces[0].end)), "three\nfour");
        assert_eq!(rig.jobs.printed(rig.job, 18), Printed::Over);
    }

    #[test]
    fn a_character_is_never_cut_in_two() {
        let mut rig = rig();
        rig.log.put("ä".repeat(20_000).as_bytes());
        rig.log.put(b"x");
        rig.end();
        assert_eq!(text(&rig.all(0)), "ä".repeat(20_000) + "x");
        assert_eq!(text(&rig.all(1)).chars().filter(|c| *c == '\u{fffd}').count(), 1);
    }

    /// 100 MB: the first and the last part are told, what lies between is counted, and the disk keeps three parts.
    #[test]
    fn a_flood_is_told_in_part_and_counted_whole() {
        let mut rig = rig();
        let line = format!("{}\n", "x".repeat(99));
        let chunk = line.repeat(1000);
        for _ in 0..1000 {
            rig.log.put(chunk.as_bytes());
        }
        let first = rig.all(0);
        assert_eq!(text(&first).len() as u64, FIRST_BYTES);
        rig.log.put(b"the end\n");
        rig.end();
        let pieces = rig.all(0);
        let told: u64 = pieces.iter().map(|piece| piece.end - piece.start).sum();
        let skipped: u64 = pieces.iter().map(|piece| piece.skipped).sum();
        assert_eq!(told + skipped, 100_000_008);
        assert!(told <= FIRST_BYTES + LAST_BYTES, "{told}");
        assert!(text(&pieces).ends_with(&format!("{line}the end\n")));
        // Behind the gap begins a whole line.
        let last = pieces.iter().find(|piece| piece.skipped > 0).unwrap();
        assert!(last.text.starts_with(&line), "{}", &last.text[..120]);
        let used: u64 = fs::read_dir(rig.jobs.dir())
            .unwrap()
            .map(|entry| entry.unwrap().metadata().unwrap().len())
            .sum();
        assert!(used < 3 * super::super::log::PART_BYTES + 4096, "{used}");
    }

    #[test]
    fn a_supervisor_from_before_may_begin_its_log_again() {
        let rig = rig();
        fs::write(rig.jobs.log(&rig.job.to_string()), b"again\n").unwrap();
        assert_eq!(rig.jobs.printed(rig.job, 400), Printed::Nothing);
        rig.end();
        assert_eq!(rig.jobs.printed(rig.job, 400), Printed::Over);
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        let attempt = AttemptId::random();
        for kind in JobKind::ALL {
            let job = JobId {
                kind,
                attempt,
                serial: 12,
            };
            assert_eq!(JobId::parse(&job.to_string()), Some(job));
        }
        for name in [
            "",
            "activate",
            "deadman-x-1",
            "activate-x-1",
            &format!("activate-{attempt}"),
        ] {
            assert_eq!(JobId::parse(name), None, "{name}");
        }
    }
}
