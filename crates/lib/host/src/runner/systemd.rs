//! Transient units and timers.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use slipway_domain::AttemptId;
use slipway_process::RunOutcome;

use super::{RunnerError, deadman};
use crate::config::HostConfig;
use crate::door::{Runnable, check_inside};
use crate::failpoint;
use crate::job::{Job, JobEnd, JobExit, JobKind};
use crate::text::{last_lines, problem_of};

/// How long systemd may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// The supervisor kills a script that hangs; this much later systemd kills the supervisor.
const SLACK_SECONDS: u64 = 30;
/// How `systemctl stop` ends for a unit that is not there.
const NOT_LOADED: i32 = 5;
/// Of an attempt's id.
const UUID_CHARS: usize = 36;

/// The unit's name, without its kind.
pub(super) fn unit(name: &str) -> String {
    format!("slipway-{name}")
}

/// Whether the unit is the job or the dead-man of an attempt.
pub(crate) fn is_of_an_attempt(unit: &str) -> bool {
    let kinds = JobKind::ALL.map(JobKind::as_str).into_iter().chain(["deadman"]);
    kinds
        .filter_map(|kind| {
            unit.strip_prefix("slipway-")?
                .strip_prefix(kind)?
                .strip_prefix('-')
        })
        .filter_map(|rest| rest.get(..UUID_CHARS))
        .any(|attempt| attempt.parse::<AttemptId>().is_ok())
}

pub(super) async fn start_job(
    config: &HostConfig,
    job: &Job,
    arguments: &[String],
) -> Result<(), RunnerError> {
    systemd_run(config, &job_arguments(config, job, arguments)).await
}

pub(super) async fn arm(
    config: &HostConfig,
    attempt: AttemptId,
    prior: &Runnable,
    seconds: u32,
) -> Result<(), RunnerError> {
    let exe = prior_agent(config, prior).unwrap_or_else(|| config.agent_exe.clone());
    systemd_run(config, &deadman_arguments(config, &exe, attempt, prior, seconds)).await
}

/// Has the machine boot again. Nobody is asked: the control plane's word was checked before.
pub(super) async fn reboot(config: &HostConfig) -> Result<(), RunnerError> {
    let program = "systemctl";
    let mut command = config.command(program);
    command.args(["--no-ask-password", "--check-inhibitors=no", "reboot"]);
    let (outcome, output) = slipway_process::run(command, ANSWER_WITHIN).await;
    match problem_of(program, &outcome, &output, ANSWER_WITHIN) {
        None => Ok(()),
        Some(output) => Err(RunnerError::Refused {
            program: program.to_owned(),
            output,
        }),
    }
}

/// The prior's own agent: it does not depend on the new closure.
pub(crate) fn prior_agent(config: &HostConfig, prior: &Runnable) -> Option<PathBuf> {
    let exe = prior.path().as_path().join("sw/bin/slipway-agent");
    let meta = std::fs::metadata(&exe).ok()?;
    let executable = meta.is_file() && meta.permissions().mode() & 0o111 != 0;
    (executable && check_inside(config, &exe).is_ok()).then_some(exe)
}

fn common(config: &HostConfig, unit: &str, description: &str) -> Vec<String> {
    let mut line = vec![
        format!("--unit={unit}"),
        format!("--description={description}"),
        "--collect".to_owned(),
        "--quiet".to_owned(),
        "--no-ask-password".to_owned(),
        "--service-type=exec".to_owned(),
        "--property=KillMode=control-group".to_owned(),
        "--property=TimeoutStopSec=15".to_owned(),
        "--property=UMask=0077".to_owned(),
    ];
    line.extend(
        config
            .unit_env
            .iter()
            .map(|(name, value)| format!("--setenv={name}={value}")),
    );
    line.extend(failpoint::inherited());
    line
}

fn about(job: &Job) -> String {
    format!(
        "Slipway: {} {} for attempt {}",
        job.closure.path(),
        job.id.kind.action(),
        job.id.attempt
    )
}

fn env_arguments(job: &Job) -> impl Iterator<Item = String> {
    let env = job.env().into_iter();
    env.map(|(name, value)| format!("--setenv={name}={value}"))
}

/// A unit's command line has its variables replaced; a doubled sign stays a sign.
fn literal(word: &str) -> String {
    word.replace('$', "$$")
}

fn job_arguments(config: &HostConfig, job: &Job, arguments: &[String]) -> Vec<String> {
    let mut line = common(config, &unit(&job.id.to_string()), &about(job));
    let most = job.timeout.as_secs() + SLACK_SECONDS;
    line.push(format!("--property=RuntimeMaxSec={most}"));
    line.extend(env_arguments(job));
    line.push("--".to_owned());
    line.push(config.agent_exe.display().to_string());
    line.extend(arguments.iter().map(|word| literal(word)));
    line
}

fn deadman_arguments(
    config: &HostConfig,
    exe: &Path,
    attempt: AttemptId,
    prior: &Runnable,
    seconds: u32,
) -> Vec<String> {
    let about = format!("Slipway: the dead-man of attempt {attempt}");
    let mut line = common(config, &unit(&deadman(attempt)), &about);
    line.push(format!("--on-active={seconds}s"));
    line.push("--timer-property=AccuracySec=1s".to_owned());
    // Until it succeeds, whatever the trouble: a disk, a lock, a failed script.
    line.push("--property=Restart=on-failure".to_owned());
    line.push("--property=RestartSec=15".to_owned());
    line.push("--property=StartLimitIntervalSec=0".to_owned());
    line.push("--".to_owned());
    line.push(exe.display().to_string());
    line.push("revert".to_owned());
    line.push(attempt.to_string());
    line.push("--prior".to_owned());
    line.push(prior.path().to_string());
    line
}

async fn systemd_run(config: &HostConfig, arguments: &[String]) -> Result<(), RunnerError> {
    let program = "systemd-run";
    let refused = |output: String| RunnerError::Refused {
        program: program.to_owned(),
        output,
    };
    let mut command = config.command(program);
    command.args(arguments);
    let (outcome, output) = slipway_process::run(command, ANSWER_WITHIN).await;
    match outcome {
        RunOutcome::Exited(status) if status.success() => Ok(()),
        RunOutcome::Exited(_) => Err(refused(last_lines(&output, 3))),
        RunOutcome::Failed(source) => Err(RunnerError::Spawn {
            program: program.to_owned(),
            source,
        }),
        RunOutcome::TimedOut => Err(refused(format!(
            "no answer from systemd within {} s",
            ANSWER_WITHIN.as_secs()
        ))),
    }
}

/// Runs the switch script itself as a unit and waits for its end. Its output is in the unit's log.
pub(super) async fn run_to_its_end(config: &HostConfig, job: &Job) -> JobExit {
    let name = direct_unit(job);
    let mut command = config.command("systemd-run");
    command.args(direct_arguments(config, job));
    let limit = job.timeout + Duration::from_secs(SLACK_SECONDS);
    let (outcome, output) = slipway_process::run(command, limit).await;
    if matches!(outcome, RunOutcome::TimedOut) {
        stop(config, &format!("{name}.service")).await;
    }
    // systemd-run ends as the unit's program did.
    let end = match JobEnd::of(outcome, job.timeout) {
        JobEnd::NotStarted(why) => JobEnd::NotStarted(format!("systemd-run: {why}")),
        end => end,
    };
    let tail = match &end {
        JobEnd::Exited(0) => String::new(),
        _ => format!("{} (journalctl --unit {name})", last_lines(&output, 2)),
    };
    JobExit { end, tail }
}

fn direct_unit(job: &Job) -> String {
    format!("{}-direct", unit(&job.id.to_string()))
}

fn direct_arguments(config: &HostConfig, job: &Job) -> Vec<String> {
    let mut line = common(config, &direct_unit(job), &about(job));
    line.push("--wait".to_owned());
    line.extend(env_arguments(job));
    line.push(format!(
        "--property=RuntimeMaxSec={}",
        job.timeout.as_secs().max(1)
    ));
    line.push("--".to_owned());
    let words = job.command(&config.agent_exe);
    line.extend(words.iter().map(|word| literal(word)));
    line
}

/// Stops a unit; one that is not there is as good as stopped.
pub(super) async fn stop(config: &HostConfig, unit: &str) {
    let mut command = config.command("systemctl");
    command.args(["--quiet", "--no-ask-password", "stop", unit]);
    let (outcome, output) = slipway_process::run(command, ANSWER_WITHIN).await;
    let is_not_there = matches!(&outcome, RunOutcome::Exited(status) if status.code() == Some(NOT_LOADED));
    if let Some(problem) = problem_of("systemctl", &outcome, &output, ANSWER_WITHIN)
        && !is_not_there
    {
        tracing::warn!(unit, problem, "systemctl stop failed");
    }
}

#[cfg(test)]
mod tests {
    use slipway_domain::StoreDir;

    use super::super::supervise_arguments;
    use super::*;
    use crate::boot::BootConfig;
    use crate::config::RunnerKind;
    use crate::job::{HookRun, JobId};

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn config() -> HostConfig {
        HostConfig {
            state_dir: "/var/lib/slipway-agent".into(),
            profile: "/nix/var/nix/profiles/system".into(),
            live_link: "/run/current-system".into(),
            gcroots_dir: "/nix/var/nix/gcroots/slipway".into(),
            store_dir: StoreDir::default(),
            runner: RunnerKind::Systemd,
            boot: BootConfig::default(),
            keep_releases: 3,
            trust: None,
            agent_exe: "/nix/store/x/bin/slipway-agent".into(),
            hidden_env: vec!["AGENT_TOKEN".to_owned()],
            unit_env: vec![("AGENT_STATE_DIR".to_owned(), "/var/lib/slipway-agent".to_owned())],
        }
    }

    fn closure() -> Runnable {
        let path = "/nix/store/0c5r1m2n3p4q5s6v7w8x9y0z1a2b3c4d-nixos";
        Runnable::unchecked(path.parse().unwrap())
    }

    #[test]
    fn an_activation_is_a_bounded_unit_of_its_own() {
        let attempt: AttemptId = "5a0c9c3e-8f1d-4f57-9a43-7d9f7d3f2b11".parse().unwrap();
        let job = Job {
            id: JobId {
                kind: JobKind::Activate,
                attempt,
                serial: 1,
            },
            closure: closure(),
            timeout: Duration::from_mins(5),
            traceparent: Some(PARENT.parse().unwrap()),
            hook: None,
            once: None,
        };
        let line = job_arguments(&config(), &job, &supervise_arguments(&config(), &job));
        let text = line.join(" ");
        for part in [
            "--unit=slipway-activate-5a0c9c3e-8f1d-4f57-9a43-7d9f7d3f2b11-1 ",
            "--collect ",
            "--property=RuntimeMaxSec=330 ",
            "--property=KillMode=control-group ",
            "--setenv=AGENT_STATE_DIR=/var/lib/slipway-agent ",
            &format!("--setenv=TRACEPARENT={PARENT} "),
            "-- /nix/store/x/bin/slipway-agent supervise --echo --state-dir /var/lib/slipway-agent ",
            "--seconds 300 -- /nix/store/0c5r1m2n3p4q5s6v7w8x9y0z1a2b3c4d-nixos/bin/switch-to-configuration test",
        ] {
            assert!(text.contains(part), "{part:?} is not in {text}");
        }
        assert!(!text.contains("TOKEN"), "{text}");
        let text = direct_arguments(&config(), &job).join(" ");
        for part in [
            "--unit=slipway-activate-5a0c9c3e-8f1d-4f57-9a43-7d9f7d3f2b11-1-direct ",
            "--wait ",
            "--property=RuntimeMaxSec=300 ",
            "-- /nix/store/0c5r1m2n3p4q5s6v7w8x9y0z1a2b3c4d-nixos/bin/switch-to-configuration test",
        ] {
            assert!(text.contains(part), "{part:?} is not in {text}");
        }
    }

    #[test]
    fn a_hook_is_a_unit_of_its_own_and_its_words_stay_as_they_are() {
        let attempt = AttemptId::random();
        let job = Job {
            id: JobId::first(JobKind::BeforeActivate, attempt),
            closure: closure(),
            timeout: Duration::from_mins(2),
            traceparent: None,
            hook: Some(HookRun {
                name: "hand over".to_owned(),
                command: vec!["/nix/store/x/bin/hand-over".to_owned(), "--to=$OTHER".to_owned()],
                prior: Some(closure().path().clone()),
            }),
            once: None,
        };
        let line = job_arguments(&config(), &job, &supervise_arguments(&config(), &job));
        let text = line.join(" ");
        for part in [
            &format!("--unit=slipway-before-activate-{attempt}-1 "),
            "--property=RuntimeMaxSec=150 ",
            "--property=KillMode=control-group ",
            "--setenv=SLIPWAY_HOOK=hand over ",
            &format!("--setenv=SLIPWAY_ATTEMPT={attempt} "),
            &format!("--setenv=SLIPWAY_CLOSURE={} ", closure().path()),
            &format!("--setenv=SLIPWAY_PRIOR={} ", closure().path()),
            "--seconds 120 -- /nix/store/x/bin/hand-over --to=$$OTHER",
        ] {
            assert!(text.contains(part), "{part:?} is not in {text}");
        }
        assert!(
            !text.contains("TOKEN") && !text.contains("switch-to-configuration"),
            "{text}"
        );
    }

    #[test]
    fn the_deadman_is_a_timer_that_runs_the_priors_agent() {
        let attempt = AttemptId::random();
        let exe = Path::new("/nix/store/prior/sw/bin/slipway-agent");
        let text = deadman_arguments(&config(), exe, attempt, &closure(), 1800).join(" ");
        assert!(
            text.starts_with(&format!("--unit=slipway-deadman-{attempt} ")),
            "{text}"
        );
        for part in [
            "--on-active=1800s ",
            "--timer-property=AccuracySec=1s ",
            &format!(
                "-- /nix/store/prior/sw/bin/slipway-agent revert {attempt} --prior {}",
                closure().path()
            ),
            "--property=Restart=on-failure ",
            "--property=StartLimitIntervalSec=0 ",
        ] {
            assert!(text.contains(part), "{part:?} is not in {text}");
        }
    }

    #[test]
    fn units_of_attempts_are_told_from_those_of_a_stack_named_slipway() {
        let attempt = AttemptId::random();
        for unit in [
            unit(&deadman(attempt)) + ".service",
            format!("slipway-activate-{attempt}-1.service"),
            format!("slipway-revert-boot-{attempt}-12.service"),
            format!("slipway-revert-{attempt}-1-direct.service"),
            format!("slipway-before-activate-{attempt}-2.service"),
        ] {
            assert!(is_of_an_attempt(&unit), "{unit}");
        }
        for unit in [
            "slipway-roll.service",
            "slipway-api-1.service",
            "slipway-revert-notes-of-the-team-and-some-more-words.service",
            "slipway-agent.service",
            "nginx.service",
        ] {
            assert!(!is_of_an_attempt(unit), "{unit}");
        }
    }

    #[test]
    fn a_prior_without_an_agent_leaves_it_to_ours() {
        assert_eq!(prior_agent(&config(), &closure()), None);
    }
}
