//! What Nix says of a closure: whether it is there, or can be had from the host's own caches. Nothing is fetched.

use std::fs;
use std::path::Path;
use std::time::Duration;

use slipway_domain::StorePath;
use slipway_domain::facts::{Availability, ClosureFacts};
use tokio::time::timeout;

use crate::config::HostConfig;
use crate::nix::{self, Validity};
use crate::text::{last_lines, problem_of};

use super::GATHER_WITHIN;

/// Nix's database answers at once, unless somebody holds its lock.
const NIX_WITHIN: Duration = Duration::from_secs(5);
const MIB: f64 = 1024.0 * 1024.0;
/// What Nix says of paths that no cache has.
const UNKNOWN_PATHS: &str = "don't know how to build";
/// What it says of caches that do not answer.
const NO_ANSWER: [&str; 3] = ["unable to download", "disabling binary cache", "cannot connect"];

/// Why Nix does not answer; empty when it does, and nothing when there is no live system to ask about.
pub(super) async fn nix_problem(config: &HostConfig) -> Option<String> {
    let live = nix::resolve(config, &config.live_link).ok()??;
    let seconds = NIX_WITHIN.as_secs();
    Some(match timeout(NIX_WITHIN, nix::validity(config, &live)).await {
        Ok(Validity::Valid) => String::new(),
        Ok(Validity::Invalid(problem) | Validity::NoAnswer(problem)) => problem,
        Err(_) => format!("nix-store did not answer within {seconds} s"),
    })
}

/// What is known of the closure.
pub(super) async fn look(config: &HostConfig, closure: Option<&StorePath>) -> Option<ClosureFacts> {
    let closure = &config.store_dir.check(closure?.clone()).ok()?;
    let validity = timeout(NIX_WITHIN, nix::validity(config, closure)).await;
    let mut facts = ClosureFacts {
        path: closure.clone(),
        availability: Availability::Unknown,
        download_bytes: 0,
        unpacked_bytes: 0,
        system: None,
        boot_bytes: None,
        problem: None,
    };
    match validity {
        Ok(Validity::Valid) => {
            facts.availability = Availability::Present;
            facts.system = system(closure.as_path());
            facts.boot_bytes = boot_bytes(closure.as_path());
        }
        Ok(Validity::Invalid(_)) => ask_caches(config, closure, &mut facts).await,
        Ok(Validity::NoAnswer(problem)) => facts.problem = Some(problem),
        Err(_) => facts.problem = Some("nix-store did not answer".to_owned()),
    }
    Some(facts)
}

/// As staging asks them: by this host's own settings of Nix, and without what Nix remembers.
async fn ask_caches(config: &HostConfig, closure: &StorePath, facts: &mut ClosureFacts) {
    let mut command = config.command("nix-store");
    command
        .args(["--realise", "--dry-run", closure.as_str()])
        .args([
            "--option",
            "connect-timeout",
            "3",
            "--option",
            "download-attempts",
            "1",
        ])
        .args(nix::FRESH);
    let (outcome, output) = slipway_process::run(command, GATHER_WITHIN).await;
    if let Some(problem) = problem_of("nix-store", &outcome, &output, GATHER_WITHIN) {
        facts.problem = Some(problem);
        return;
    }
    read_answer(&output, facts);
}

/// The answer ends with 0 whatever it says.
fn read_answer(output: &str, facts: &mut ClosureFacts) {
    let silent = NO_ANSWER.iter().any(|words| output.contains(words));
    if output.contains(UNKNOWN_PATHS) {
        facts.availability = if silent {
            Availability::Unreachable
        } else {
            Availability::Missing
        };
        facts.problem = Some(last_lines(output, 3));
        return;
    }
    // Nothing at all: it came in meanwhile.
    let Some((download, unpacked)) = output.lines().find_map(sizes) else {
        facts.availability = if output.trim().is_empty() {
            Availability::Present
        } else {
            Availability::Unknown
        };
        facts.problem = (!output.trim().is_empty()).then(|| last_lines(output, 3));
        return;
    };
    facts.availability = Availability::Fetchable;
    (facts.download_bytes, facts.unpacked_bytes) = (download, unpacked);
}

/// The sizes in `these 3 paths will be fetched (1.50 MiB download, 4.25 MiB unpacked):`.
fn sizes(line: &str) -> Option<(u64, u64)> {
    let (_, rest) = line.split_once("will be fetched (")?;
    let (download, rest) = rest.split_once(" download, ")?;
    let (unpacked, _) = rest.split_once(" unpacked)")?;
    Some((bytes(download)?, bytes(unpacked)?))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a size in bytes, rounded as Nix prints it"
)]
fn bytes(text: &str) -> Option<u64> {
    let (number, unit) = text.trim().split_once(' ')?;
    let number: f64 = number.parse().ok()?;
    let factor = match unit {
        "B" => 1.0,
        "KiB" => 1024.0,
        "MiB" => MIB,
        "GiB" => 1024.0 * MIB,
        "TiB" => 1024.0 * 1024.0 * MIB,
        _ => return None,
    };
    (number >= 0.0).then(|| (number * factor).ceil() as u64)
}

/// What NixOS writes of the machine that a closure is for.
fn system(closure: &Path) -> Option<String> {
    let text = fs::read_to_string(closure.join("system")).ok()?;
    let text = text.trim();
    (!text.is_empty() && text.len() <= 64).then(|| text.to_owned())
}

/// What the closure's kernel and initrd take on the boot partition.
fn boot_bytes(closure: &Path) -> Option<u64> {
    let of = |name: &str| fs::metadata(closure.join(name)).ok().map(|meta| meta.len());
    Some(of("kernel")?.saturating_add(of("initrd").unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(output: &str) -> ClosureFacts {
        let mut facts = ClosureFacts {
            path: "/nix/store/0c5r1m2n3p4q5s6v7w8x9y0z1a2b3c4d-a".parse().unwrap(),
            availability: Availability::Unknown,
            download_bytes: 0,
            unpacked_bytes: 0,
            system: None,
            boot_bytes: None,
            problem: None,
        };
        read_answer(output, &mut facts);
        facts
    }

    #[test]
    fn each_answer_of_nix_is_understood() {
        use Availability::{Fetchable, Missing, Present, Unknown, Unreachable};
        let lacks = "don't know how to build these paths:\n  /nix/store/x-a\n";
        let down = "warning: unable to download 'https://c/nix-cache-info': Couldn't connect to server (7)\n";
        let fetched =
            "these 3 paths will be fetched (1.50 MiB download, 4.25 MiB unpacked):\n  /nix/store/x-a\n";
        let one = "this path will be fetched (12.0 KiB download, 1.00 GiB unpacked):\n";
        for (output, expected) in [
            (lacks.to_owned(), Missing),
            (format!("{down}{lacks}"), Unreachable),
            (fetched.to_owned(), Fetchable),
            // One cache is down, and another has it.
            (format!("{down}{fetched}"), Fetchable),
            // One path of several is in no cache.
            (format!("{lacks}{fetched}"), Missing),
            (String::new(), Present),
            ("something new".to_owned(), Unknown),
        ] {
            let found = facts(&output);
            assert_eq!(found.availability, expected, "{output}");
            let plain = matches!(expected, Fetchable | Present);
            assert_eq!(found.problem.is_none(), plain, "{output}");
        }
        let found = facts(fetched);
        assert_eq!(
            (found.download_bytes, found.unpacked_bytes),
            (1_572_864, 4_456_448)
        );
        let found = facts(one);
        assert_eq!((found.download_bytes, found.unpacked_bytes), (12_288, 1 << 30));
    }
}
