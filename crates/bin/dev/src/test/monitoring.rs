//! The alerts of deploy/monitoring, as Prometheus' own tool reads and tests them.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use crate::programs;
use crate::run::Run;
use crate::spec::Spec;

/// A hundred tests take 20 s on a free core.
const BOUND: Duration = Duration::from_mins(5);

/// Every rule can be read, and every alert fires on the series of its fault and on no others. Alertmanager and Prometheus
/// take the configurations of the example.
pub async fn check(run: &Run, checkout: &Path) -> Result<()> {
    for (name, tool, args) in [
        (
            "promtool-check",
            "promtool",
            ["check", "rules", "rules.yaml"].as_slice(),
        ),
        ("promtool-test", "promtool", &["test", "rules", "rules.test.yaml"]),
        (
            "promtool-config",
            "promtool",
            &["check", "config", "prometheus.yaml"],
        ),
        ("amtool-config", "amtool", &["check-config", "alertmanager.yaml"]),
    ] {
        let spec = Spec::new(name, programs::find(tool)?).args(args.iter().copied());
        // Its collector of garbage takes a third of the time otherwise.
        let spec = spec
            .directory(checkout.join("deploy/monitoring"))
            .env("GOGC", "800");
        run.supervisor.run(spec, BOUND).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const RULES: &str = "groups: [{name: a, rules: [{alert: Full, expr: full > 1}]}]";

    const ROUTES: &str = "{route: {receiver: ops}, receivers: [{name: ops}]}";

    /// What the check says about these rules, which the test expects to fire where `full` is 2.
    async fn verdict(rules: &str, routes: &str) -> Result<()> {
        let folder = tempfile::tempdir().unwrap();
        let files = folder.path().join("deploy/monitoring");
        fs::create_dir_all(&files).unwrap();
        fs::write(files.join("rules.yaml"), rules).unwrap();
        let tests = "rule_files: [rules.yaml]\n\
            tests: [{interval: 1m, input_series: [{series: full, values: '2'}],\n\
              alert_rule_test: [{eval_time: 0m, alertname: Full, exp_alerts: [{}]}]}]";
        fs::write(files.join("rules.test.yaml"), tests).unwrap();
        fs::write(files.join("prometheus.yaml"), "rule_files: [rules.yaml]").unwrap();
        fs::write(files.join("alertmanager.yaml"), routes).unwrap();
        let run = Run::create(folder.path()).unwrap();
        check(&run, folder.path()).await
    }

    #[tokio::test]
    async fn an_alert_that_does_not_fire_is_told_in_promtools_words() {
        verdict(RULES, ROUTES).await.unwrap();
        let error = verdict(&RULES.replace("> 1", "> 2"), ROUTES).await.unwrap_err();
        let message = format!("{error:#}");
        assert!(
            message.contains("promtool-test failed") && message.contains("alertname: Full"),
            "{message}"
        );
    }

    #[tokio::test]
    async fn a_rule_that_is_no_rule_is_told_in_promtools_words() {
        let error = verdict(&RULES.replace("> 1", "> "), ROUTES).await.unwrap_err();
        let message = format!("{error:#}");
        assert!(
            message.contains("promtool-check failed") && message.contains("could not parse expression"),
            "{message}"
        );
    }
    #[tokio::test]
    async fn a_receiver_that_nobody_has_is_told_in_amtools_words() {
        let error = verdict(RULES, &ROUTES.replace("{name: ops}", "{name: dev}"))
            .await
            .unwrap_err();
        let message = format!("{error:#}");
        assert!(
            message.contains("amtool-config failed") && message.contains("undefined receiver \"ops\""),
            "{message}"
        );
    }
}
