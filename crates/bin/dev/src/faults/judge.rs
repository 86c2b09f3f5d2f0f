//! What the webhook has heard, against what a fault must bring.

use std::time::Instant;

use super::kind::FaultKind;
use crate::webhook::{AlertStatus, HeardAlert};

/// Reads what is heard once.
#[derive(Debug, Default)]
pub(super) struct Judge {
    /// How many alerts were judged.
    read: usize,
    /// Alerts that earlier faults may still bring.
    late: Vec<&'static str>,
}

impl Judge {
    /// The next alert that begins and that nobody expects, if there is one.
    pub(super) fn unexpected(&mut self, heard: &[HeardAlert], fault: Option<FaultKind>) -> Option<String> {
        if let Some(fault) = fault {
            for alert in fault.expected().besides {
                if !self.late.contains(alert) {
                    self.late.push(alert);
                }
            }
        }
        for alert in heard.iter().skip(self.read) {
            self.read += 1;
            let is_expected = fault.is_some_and(|fault| is_of(alert, fault));
            let name = alert.label("alertname");
            if alert.status == AlertStatus::Firing && !is_expected && !self.late.contains(&name) {
                let labels =
                    ["instance", "unit", "stack", "route", "mountpoint"].map(|label| alert.label(label));
                let labels: Vec<&str> = labels.into_iter().filter(|label| !label.is_empty()).collect();
                return Some(format!("{name} ({})", labels.join(", ")));
            }
        }
        None
    }
}

/// When the fault's alert was heard, since it began.
pub(super) fn fires(fault: FaultKind, heard: &[HeardAlert], since: Instant) -> Option<Instant> {
    last(fault, heard, since, AlertStatus::Firing)
}

/// When the end of the fault's alert was heard, since its cure.
pub(super) fn is_over(fault: FaultKind, heard: &[HeardAlert], since: Instant) -> Option<Instant> {
    last(fault, heard, since, AlertStatus::Resolved)
}

fn last(fault: FaultKind, heard: &[HeardAlert], since: Instant, status: AlertStatus) -> Option<Instant> {
    let found = heard
        .iter()
        .rev()
        .find(|alert| is_of(alert, fault) && alert.at >= since)?;
    (found.status == status).then_some(found.at)
}

fn is_of(alert: &HeardAlert, fault: FaultKind) -> bool {
    let expected = fault.expected();
    let (label, value) = expected.label;
    alert.label("alertname") == expected.alert && alert.label(label) == value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(name: &str, status: AlertStatus, label: (&str, &str)) -> HeardAlert {
        let labels = [("alertname", name), label];
        HeardAlert {
            at: Instant::now(),
            status,
            labels: labels
                .map(|(label, value)| (label.to_owned(), value.to_owned()))
                .into(),
        }
    }

    #[test]
    fn only_the_alert_of_the_fault_with_its_label_counts() {
        let since = Instant::now();
        let mut judge = Judge::default();
        let fault = FaultKind::Workers;
        let mut heard = vec![alert("ServiceDown", AlertStatus::Firing, ("service", "api"))];
        assert_eq!(fires(fault, &heard, since), None);
        let other = judge.unexpected(&heard, Some(fault));
        assert_eq!(other.as_deref(), Some("ServiceDown ()"));
        assert_eq!(judge.unexpected(&heard, Some(fault)), None, "it is said once");

        heard.push(alert("ServiceDown", AlertStatus::Firing, ("service", "worker")));
        assert_eq!(judge.unexpected(&heard, Some(fault)), None);
        assert!(fires(fault, &heard, since).is_some());
        assert_eq!(is_over(fault, &heard, since), None);
        let cured = Instant::now();
        heard.push(alert("ServiceDown", AlertStatus::Resolved, ("service", "worker")));
        assert!(is_over(fault, &heard, cured).is_some());
        assert_eq!(fires(fault, &heard, cured), None);
    }

    #[test]
    fn what_a_fault_brings_besides_is_expected_from_then_on() {
        let mut judge = Judge::default();
        let mut heard = vec![alert("TargetDown", AlertStatus::Firing, ("job", "agent"))];
        assert!(judge.unexpected(&heard, Some(FaultKind::Disk)).is_some());
        heard.push(alert("TargetDown", AlertStatus::Firing, ("job", "agent")));
        assert_eq!(judge.unexpected(&heard, Some(FaultKind::Agent)), None);
        heard.push(alert("TargetDown", AlertStatus::Firing, ("job", "agent")));
        assert_eq!(
            judge.unexpected(&heard, Some(FaultKind::Postgres)),
            None,
            "it may come late"
        );
        heard.push(alert("HostDown", AlertStatus::Resolved, ("host", "web-1")));
        assert_eq!(judge.unexpected(&heard, None), None, "an end is no alert");
    }
}
