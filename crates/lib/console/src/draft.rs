//! Forms as a page shows them: empty, or as they were typed before they came back.

use maud::{Markup, Render, html};
use slipway_wire::problem::FieldProblem;

use crate::form::Typed;
use crate::ui::Ui;
use crate::view;

/// One form of a page.
#[derive(Clone, Copy)]
pub(crate) struct Draft<'a> {
    typed: Option<&'a Typed>,
}

impl<'a> Draft<'a> {
    /// The form that goes to this path and does this. Only the one that came back has something typed.
    pub(crate) fn of(ui: &'a Ui, to: &str, what: &str) -> Self {
        let path = |address: &'_ str| address.split(['?', '#']).next().map(ToOwned::to_owned);
        let is_it = |typed: &&Typed| path(to) == path(&ui.here) && typed.fields.text("do") == what;
        Self {
            typed: ui.typed.as_ref().filter(is_it),
        }
    }

    /// Whether it came back.
    pub(crate) const fn is_typed(self) -> bool {
        self.typed.is_some()
    }

    /// What was typed into a field, or what it holds at first.
    pub(crate) fn value(self, name: &str, first: &'a str) -> &'a str {
        self.typed.map_or(first, |typed| typed.fields.verbatim(name))
    }

    /// Whether a box is ticked.
    pub(crate) fn is_on(self, name: &str, first: bool) -> bool {
        self.typed.map_or(first, |typed| typed.fields.is_on(name))
    }

    /// Whether something was typed that is not shown again.
    fn is_withheld(self, name: &str) -> bool {
        self.typed
            .is_some_and(|typed| typed.withheld.iter().any(|one| one == name))
    }

    /// What is wrong with a field. Problems of its parts are its own: `labels.role`, `windows[0]`, `limits.hosts`.
    fn wrong(self, name: &str) -> Option<&'a str> {
        let problem = self.typed?.problem.as_ref()?;
        let is_of = |field: &&FieldProblem| {
            let mut parts = field.field.split(['.', '[']);
            parts.next() == Some(name) || field.field.rsplit('.').next() == Some(name)
        };
        problem
            .fields
            .iter()
            .find(is_of)
            .map(|field| field.detail.as_str())
    }

    /// A field for a line of text.
    pub(crate) const fn text(self, name: &'a str, label: &'a str) -> Field<'a> {
        Field {
            draft: self,
            name,
            label,
            hint: "",
            kind: Kind::Line("text"),
            first: "",
            example: "",
            required: false,
            limit: None,
            complete: None,
        }
    }

    /// A field for a secret. What was typed into it never comes back.
    pub(crate) const fn secret(self, name: &'a str, label: &'a str) -> Field<'a> {
        let mut field = self.text(name, label);
        field.kind = Kind::Secret;
        field.complete = Some("off");
        field
    }

    /// A field for an instant, in UTC.
    pub(crate) const fn instant(self, name: &'a str, label: &'a str) -> Field<'a> {
        let mut field = self.text(name, label);
        field.kind = Kind::Line("datetime-local");
        field
    }

    /// A field for a number.
    pub(crate) const fn number(self, name: &'a str, label: &'a str) -> Field<'a> {
        let mut field = self.text(name, label);
        field.kind = Kind::Line("number");
        field
    }

    /// A field for several lines.
    pub(crate) const fn lines(self, name: &'a str, label: &'a str, rows: u8) -> Field<'a> {
        let mut field = self.text(name, label);
        field.kind = Kind::Lines(rows);
        field
    }

    /// A choice between values, each with its name for people.
    pub(crate) fn choice<T: AsRef<str>>(
        self,
        name: &str,
        label: &str,
        first: &'a str,
        options: impl IntoIterator<Item = (T, T)>,
    ) -> Markup {
        let chosen = self.value(name, first);
        html! {
            label { (label) select name=(name) {
                @for (value, text) in options { option value=(value.as_ref()) selected[chosen == value.as_ref()] { (text.as_ref()) } }
            } }
            (self.complaint(name))
        }
    }

    /// A box to tick.
    pub(crate) fn check(self, name: &str, label: &str, first: bool) -> Markup {
        html! {
            label.check { input type="checkbox" name=(name) checked[self.is_on(name, first)]; (label) }
            (self.complaint(name))
        }
    }

    /// The field for why something is done.
    pub(crate) const fn reason(self, required: bool) -> Field<'a> {
        let mut field = self.text("reason", "Reason");
        field.limit = Some(2000);
        if required {
            field.required = true;
        } else {
            field.hint = " (for the audit log)";
        }
        field
    }

    fn complaint(self, name: &str) -> Markup {
        html! { @if let Some(wrong) = self.wrong(name) { p.wrong id={ "wrong-" (name) } { (view::said(wrong)) } } }
    }
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    /// With the type of the input.
    Line(&'static str),
    Secret,
    /// With the number of rows.
    Lines(u8),
}

/// A field of a form, with its label and with what is wrong with it.
#[derive(Clone, Copy)]
pub(crate) struct Field<'a> {
    draft: Draft<'a>,
    name: &'a str,
    label: &'a str,
    hint: &'a str,
    kind: Kind,
    first: &'a str,
    example: &'a str,
    required: bool,
    limit: Option<u16>,
    complete: Option<&'a str>,
}

impl<'a> Field<'a> {
    pub(crate) const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// What it holds at first.
    pub(crate) const fn first(mut self, first: &'a str) -> Self {
        self.first = first;
        self
    }

    /// What stands in it while it is empty.
    pub(crate) const fn example(mut self, example: &'a str) -> Self {
        self.example = example;
        self
    }

    /// Words after the label.
    pub(crate) const fn hint(mut self, hint: &'a str) -> Self {
        self.hint = hint;
        self
    }

    /// A field for names that something is limited to: without any it is for all.
    pub(crate) const fn or_all(self) -> Self {
        self.hint(" (empty: all)")
    }

    /// The most characters that it takes.
    pub(crate) const fn limit(mut self, limit: u16) -> Self {
        self.limit = Some(limit);
        self
    }

    /// What the browser may fill in.
    pub(crate) const fn complete(mut self, complete: &'a str) -> Self {
        self.complete = Some(complete);
        self
    }

    fn input(&self) -> Markup {
        let wrong = self.draft.wrong(self.name);
        let (invalid, described) = (
            wrong.map(|_| "true"),
            wrong.map(|_| format!("wrong-{}", self.name)),
        );
        let value = self.draft.value(self.name, self.first);
        let example = Some(self.example).filter(|example| !example.is_empty());
        match self.kind {
            Kind::Lines(rows) => html! {
                textarea.code name=(self.name) rows=(rows) spellcheck="false" placeholder=[example]
                    aria-invalid=[invalid] aria-describedby=[described] autofocus[wrong.is_some()] {
                    // A browser takes the first line break away.
                    "\n" (value)
                }
            },
            Kind::Line(kind) => html! {
                input type=(kind) name=(self.name) value=[Some(value).filter(|value| !value.is_empty())] placeholder=[example]
                    required[self.required] maxlength=[self.limit] autocomplete=[self.complete] aria-invalid=[invalid]
                    aria-describedby=[described] autofocus[wrong.is_some()];
            },
            Kind::Secret => html! {
                input type="password" name=(self.name) required[self.required] autocomplete=[self.complete]
                    aria-invalid=[invalid] aria-describedby=[described] autofocus[wrong.is_some()];
            },
        }
    }
}

impl Render for Field<'_> {
    fn render(&self) -> Markup {
        html! {
            label { (self.label) @if !self.hint.is_empty() { span.faint { (self.hint) } }
                @if self.draft.is_withheld(self.name) { span.faint { " (type it again)" } }
                (self.input()) }
            (self.draft.complaint(self.name))
        }
    }
}
