//! Buttons: a form behind a fold, so that everything takes two clicks and works without the script.

use maud::{Markup, html};

use crate::api::{Refused, invalid};
use crate::draft::Draft;
use crate::form;
use crate::ui::Ui;
use crate::view;

/// What a button does.
pub(super) struct Action<'a> {
    /// Where its form goes.
    pub(super) to: &'a str,
    /// The name of the button that shows the form, and of the one that sends it.
    pub(super) name: &'a str,
    /// The value of the field `do`.
    pub(super) what: &'a str,
    /// What will happen, in a sentence.
    pub(super) meaning: &'a str,
    /// Whether it takes something away.
    pub(super) danger: bool,
}

/// The button, with the fields of its form. The fold is open when the form came back.
pub(super) fn action(ui: &Ui, action: &Action<'_>, fields: impl FnOnce(Draft<'_>) -> Markup) -> Markup {
    let draft = Draft::of(ui, action.to, action.what);
    fold(ui, action, draft.is_typed(), &fields(draft))
}

/// The same with the fold open or closed.
pub(super) fn fold(ui: &Ui, action: &Action<'_>, is_open: bool, fields: &Markup) -> Markup {
    let class = if action.danger { "danger" } else { "primary" };
    html! {
        details.action name="action" data-keep=(format!("{}{}", action.to, action.what)) open[is_open] {
            summary class=(class) { (action.name) "…" }
            form method="post" action=(action.to) {
                (form::hidden(ui))
                input type="hidden" name="do" value=(action.what);
                p { (action.meaning) }
                (fields)
                button class=(class) { (action.name) }
            }
        }
    }
}

/// A form that asks for nothing more.
pub(super) fn nothing(_: Draft<'_>) -> Markup {
    Markup::default()
}

/// A form that asks for what no page offers.
pub(super) fn unknown(what: &str) -> Refused {
    invalid(format!(
        "`{}` is nothing that this page does; load it again",
        view::words(what)
    ))
}
