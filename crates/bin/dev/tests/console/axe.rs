//! axe-core, which knows the rules of accessible pages.

use serde_json::Value;

use super::browser::Browser;

/// The file that ./dev installs.
const VARIABLE: &str = "SLIPWAY_DEV_AXE";

/// What each page is asked. The rules are those of WCAG 2.2 at level AA, and axe-core's best practices.
const RUN: &str = "
    const options = { resultTypes: ['violations'] };
    return axe.run(document, options).then((found) => found.violations.map((broken) =>
        `${broken.id} (${broken.impact}): ${broken.help}: ${broken.nodes.map((node) => node.html).join(' | ')}`));
";

/// The rules that the open page breaks.
pub(crate) async fn violations(browser: &Browser) -> Vec<String> {
    let Some(file) = std::env::var_os(VARIABLE) else {
        panic!("{VARIABLE} is not set: run ./dev test --only nextest");
    };
    let axe = std::fs::read_to_string(file).expect(VARIABLE);
    let found = browser.eval(&format!("{axe}\n{RUN}")).await;
    let found: Vec<Value> = found.as_array().unwrap().clone();
    found
        .into_iter()
        .map(|broken| broken.as_str().unwrap().to_owned())
        .collect()
}
