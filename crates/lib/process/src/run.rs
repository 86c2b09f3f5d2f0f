//! One program from its start to its end.

use std::io;
use std::process::Stdio;

use tokio::net::unix::pipe::Receiver;
use tokio::process::Command;

use crate::output::{OutputTail, read};
use crate::running::{RunLimits, RunOutcome, RunningProgram};

/// As many bytes are kept of what is not kept whole.
pub const TAIL_BYTES: usize = 16 * 1024;
/// The longest answer: the description of a closure of tens of thousands of paths.
const ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// What a program said on its standard output, apart from its complaints.
#[derive(Debug)]
pub struct ProgramOutput {
    /// How it ended.
    pub outcome: RunOutcome,
    /// All of its standard output.
    pub stdout: Vec<u8>,
    /// The end of its standard error.
    pub stderr: String,
}

/// Runs it to its end or the limits, and keeps the end of all that it prints. When this is dropped before, the program
/// and its process group are killed.
pub async fn run(mut command: Command, limits: impl Into<RunLimits>) -> (RunOutcome, String) {
    let started = || {
        let (reader, out) = io::pipe()?;
        command.stdout(out.try_clone()?).stderr(out);
        Ok((
            RunningProgram::spawn(command)?,
            Receiver::from_owned_fd(reader.into())?,
        ))
    };
    let (running, reader) = match started() {
        Ok(started) => started,
        Err(error) => return (RunOutcome::Failed(error), String::new()),
    };
    let mut tail = OutputTail::new(TAIL_BYTES);
    let reading = read(reader, |bytes| {
        tail.push(bytes);
        Ok(())
    });
    let outcome = running.finish(limits.into(), reading).await;
    (outcome, tail.text())
}

/// As [`run`], with standard output kept whole and apart. A program that says more than can be kept is ended.
pub async fn capture(mut command: Command, limits: impl Into<RunLimits>) -> ProgramOutput {
    let started = || {
        let (out_reader, out) = io::pipe()?;
        let (err_reader, err) = io::pipe()?;
        command.stdout(Stdio::from(out)).stderr(Stdio::from(err));
        let running = RunningProgram::spawn(command)?;
        let out = Receiver::from_owned_fd(out_reader.into())?;
        Ok((running, out, Receiver::from_owned_fd(err_reader.into())?))
    };
    let mut stdout = Vec::new();
    let mut tail = OutputTail::new(TAIL_BYTES);
    let outcome = match started() {
        Ok((running, out, err)) => {
            let reading_out = read(out, |bytes| keep_whole(&mut stdout, bytes));
            let reading_err = read(err, |bytes| {
                tail.push(bytes);
                Ok(())
            });
            let reading = async { tokio::try_join!(reading_out, reading_err).map(drop) };
            running.finish(limits.into(), reading).await
        }
        Err(error) => RunOutcome::Failed(error),
    };
    ProgramOutput {
        outcome,
        stdout,
        stderr: tail.text(),
    }
}

fn keep_whole(stdout: &mut Vec<u8>, bytes: &[u8]) -> io::Result<()> {
    if stdout.len() + bytes.len() > ANSWER_BYTES {
        let mebibytes = ANSWER_BYTES / (1024 * 1024);
        return Err(io::Error::other(format!("it printed more than {mebibytes} MiB")));
    }
    stdout.extend_from_slice(bytes);
    Ok(())
}
