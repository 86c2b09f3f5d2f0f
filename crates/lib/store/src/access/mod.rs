//! Who may use the API: principals and tokens.

mod principals;
mod revoke;
mod subjects;
mod tokens;

pub(crate) use revoke::revoke_host_tokens;
pub(crate) use tokens::insert_host_token;
pub use tokens::{AuthenticatedPrincipal, Caller, NewToken, TokenHash, TokenOwner, TokensOf};
