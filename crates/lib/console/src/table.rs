//! Tables. On narrow screens a row becomes a card, in which every value has its column's name before it.

use maud::{Markup, html};

/// A table. The first value of a row names it.
///
/// The roles are said, since browsers forget them where a row is shown as a card.
pub(crate) fn of<const N: usize>(head: [&str; N], rows: impl IntoIterator<Item = [Markup; N]>) -> Markup {
    html! { div.scroll { table role="table" {
        thead role="rowgroup" { tr role="row" { @for name in head { th scope="col" role="columnheader" { (name) } } } }
        tbody role="rowgroup" { @for row in rows { tr role="row" {
            @for (place, (name, value)) in head.into_iter().zip(row).enumerate() {
                @if place == 0 { th scope="row" role="rowheader" { (value) } }
                @else { td role="cell" data-label=(name) { (value) } }
            }
        } } }
    } } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_has_its_columns_name() {
        let text = of(["Host", "State"], [[html! { "web-1" }, html! { "healthy" }]]).into_string();
        assert!(
            text.contains("<th scope=\"row\" role=\"rowheader\">web-1</th>"),
            "{text}"
        );
        assert!(
            text.contains("<td role=\"cell\" data-label=\"State\">healthy</td>"),
            "{text}"
        );
    }
}
