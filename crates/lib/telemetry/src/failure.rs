//! What a program says when it cannot go on.

use std::error::Error;

use slipway_settings::SettingsErrors;
use slipway_text::error_chain;

/// What `program` says when it cannot go on: of wrong settings each on a line of its own, of anything else its causes.
#[must_use]
pub fn failure_text(program: &str, error: &(dyn Error + 'static)) -> String {
    let Some(errors) = error.downcast_ref::<SettingsErrors>() else {
        return format!("{program}: {}", error_chain(error));
    };
    let mut text = format!("{program}: the settings cannot be used:");
    for error in errors.errors() {
        text.push_str("\n  ");
        text.push_str(&error.to_string());
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn every_wrong_setting_has_a_line_in_what_a_program_says() {
        let source = slipway_settings::SettingsSource::from_map([("API_PORT", "0"), ("API_THREADS", "0")]);
        let errors = slipway_settings::ApiSection::from_source(&source).unwrap_err();
        let text = failure_text("slipway-api", &errors);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "slipway-api: the settings cannot be used:");
        assert!(
            lines[1].starts_with("  API_PORT=0") && lines[2].starts_with("  API_THREADS=0"),
            "{text}"
        );
        assert_eq!(lines.len(), 3);
        assert_eq!(
            failure_text("slipway-api", &io::Error::other("alone")),
            "slipway-api: alone"
        );
    }
}
