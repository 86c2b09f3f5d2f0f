//! Who may use the API: principals and tokens.

mod authenticate;
mod lookup;
mod principals;
mod revoke;
mod sign_in;
mod subjects;
mod tokens;

pub use authenticate::{AuthenticatedPrincipal, Caller};
pub(crate) use lookup::Lookups;
pub(crate) use revoke::revoke_host_tokens;
pub use sign_in::SignIn;
pub(crate) use tokens::insert_host_token;
pub use tokens::{NewToken, TokenHash, TokenOwner, TokensOf};
