//! What requests are bounded by, for those who send them and those who take them.

/// Characters of what names something: a label, a commit, a hash.
pub const LABEL_CHARS: usize = 100;
/// Characters of what a provider of sign-in sends back with the browser.
pub const OIDC_CHARS: usize = 4000;
/// Characters of a message, a reason, or a reference to sources.
pub const MESSAGE_CHARS: usize = 2000;
/// The most words of a search.
pub const SEARCH_WORDS: usize = 10;
