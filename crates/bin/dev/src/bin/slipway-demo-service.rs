//! The service that a demo closure runs: it tells its version over HTTP.
//!
//! It also stops and waits for itself, so that the switch script needs no tools beyond a shell's.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long a service may take to end after SIGTERM before it is killed, and to listen after its start.
const BOUND: Duration = Duration::from_secs(5);
const CLIENT: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    match run(&args[1..]) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            let _ = writeln!(std::io::stderr(), "slipway-demo-service: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[String]) -> Result<(), String> {
    let state = PathBuf::from(option(args, "--state")?);
    match args.first().map(String::as_str) {
        Some("serve") => serve(args, &state),
        Some("stop") => stop(&state),
        Some("wait") => wait(&state, option(args, "--closure")?),
        _ => Err("say serve, stop or wait".to_owned()),
    }
}

fn option<'a>(args: &'a [String], name: &str) -> Result<&'a str, String> {
    let at = args
        .iter()
        .position(|arg| arg == name)
        .ok_or_else(|| format!("{name} is missing"))?;
    args.get(at + 1)
        .map(String::as_str)
        .ok_or_else(|| format!("{name} has no value"))
}

fn serve(args: &[String], state: &Path) -> Result<(), String> {
    let address: SocketAddr = option(args, "--listen")?
        .parse()
        .map_err(|e| format!("--listen: {e}"))?;
    let (version, health) = (option(args, "--version")?, option(args, "--health")?);
    let listener = TcpListener::bind(address).map_err(|e| format!("cannot listen on {address}: {e}"))?;
    let ready = format!("{} {}\n", std::process::id(), option(args, "--closure")?);
    let draft = state.join(format!(".ready.{}", std::process::id()));
    fs::write(&draft, ready)
        .and_then(|()| fs::rename(&draft, state.join("service.ready")))
        .map_err(|e| format!("cannot write into {}: {e}", state.display()))?;
    for stream in listener.incoming().flatten() {
        // One after the other: no client can hold it longer than the time limits below.
        let _ = answer(stream, version, health);
    }
    Ok(())
}

fn answer(mut stream: TcpStream, version: &str, health: &str) -> std::io::Result<()> {
    stream.set_read_timeout(Some(CLIENT))?;
    stream.set_write_timeout(Some(CLIENT))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut header = String::new();
    while reader.read_line(&mut header)? > 2 {
        header.clear();
    }
    let (status, body) = match request.split_whitespace().nth(1) {
        Some("/version") => ("200", version.to_owned()),
        Some("/pid") => ("200", std::process::id().to_string()),
        Some("/health") => (health, format!("health {health}")),
        _ => ("404", "not found".to_owned()),
    };
    write!(
        stream,
        "HTTP/1.1 {status} -\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}\n",
        body.len() + 1
    )
}

/// Ends every service of the host that `state` belongs to, and no other process.
fn stop(state: &Path) -> Result<(), String> {
    let start = Instant::now();
    loop {
        let found = services(state);
        if found.is_empty() {
            return Ok(());
        }
        if start.elapsed() > BOUND * 2 {
            return Err(format!("{} processes do not end", found.len()));
        }
        let signal = if start.elapsed() > BOUND {
            Signal::KILL
        } else {
            Signal::TERM
        };
        for pid in found {
            let _ = kill_process(pid, signal);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn services(state: &Path) -> Vec<Pid> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| {
            let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let args: Vec<&[u8]> = command.split(|byte| *byte == 0).collect();
            let [program, action, ..] = args[..] else {
                return false;
            };
            program.ends_with(b"slipway-demo-service")
                && action == b"serve"
                && args
                    .windows(2)
                    .any(|pair| pair[0] == b"--state" && pair[1] == state.as_os_str().as_encoded_bytes())
        })
        .filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?))
        .collect()
}

/// Waits until the service of exactly this closure listens.
fn wait(state: &Path, closure: &str) -> Result<(), String> {
    let start = Instant::now();
    while start.elapsed() < BOUND {
        let ready = fs::read_to_string(state.join("service.ready")).unwrap_or_default();
        if let Some((pid, of)) = ready.trim().split_once(' ')
            && of == closure
            && services(state)
                .iter()
                .any(|found| found.as_raw_nonzero().to_string() == pid)
        {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Err(format!("the service of {closure} does not listen"))
}
