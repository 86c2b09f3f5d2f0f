//! Who may use the API: principals and tokens.

mod principals;
mod tokens;

pub use principals::Principal;
pub use tokens::{Authenticated, AuthenticatedToken, NewToken, Token, TokenHash, TokenOwner};
pub(crate) use tokens::{insert_token, revoke_host_tokens, token_event};
